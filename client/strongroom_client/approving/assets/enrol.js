"use strict";
// Makes a passkey, then uses it once: what is enrolled has signed already, as it will for every approval.

const main = document.querySelector("main");
const button = document.querySelector("#enrol");

async function create() {
  const made = await navigator.credentials.create({
    publicKey: {
      challenge: bytes(main.dataset.challenge),
      rp: { id: main.dataset.rp, name: "Strongroom approvals" },
      user: { id: bytes(main.dataset.user), name: main.dataset.name, displayName: main.dataset.name },
      // EdDSA and ES256 (RFC 9053): the two that signers verify.
      pubKeyCredParams: [{ type: "public-key", alg: -8 }, { type: "public-key", alg: -7 }],
      authenticatorSelection: { userVerification: "required", residentKey: "preferred" },
      attestation: "none",
      timeout: 120000,
    },
  });
  const key = made.response.getPublicKey();
  if (key === null) throw new Error("the browser does not show this authenticator's public key");
  return { credential: text(made.rawId), public: text(key) };
}

async function use(credential) {
  const used = await navigator.credentials.get({
    publicKey: {
      challenge: bytes(main.dataset.challenge),
      rpId: main.dataset.rp,
      allowCredentials: [{ type: "public-key", id: bytes(credential) }],
      userVerification: "required",
      timeout: 120000,
    },
  });
  return {
    client_data: text(used.response.clientDataJSON),
    authenticator_data: text(used.response.authenticatorData),
    signature: text(used.response.signature),
  };
}

button.addEventListener("click", async () => {
  button.disabled = true;
  try {
    say("busy", "Making the passkey", "Choose the key or device when the browser asks.");
    const made = await create();
    say("busy", "Trying it", "Use it once more: a first signature shows that it works.");
    const body = JSON.stringify({ ...made, ...(await use(made.credential)) });
    const response = await fetch("answer", { method: "POST", headers: { "Content-Type": "application/json" }, body });
    if (!response.ok) throw new Error(`the command answered ${response.status}`);
    const answer = await response.json();
    if (answer.done) {
      say("approved", answer.done.title, answer.done.text);
      document.body.classList.add("answered");
      return;
    }
    say("failed", `Refused: ${answer.refused.reason}`, answer.refused.remedy);
  } catch (error) {
    say("failed", "Nothing was enrolled", `${error.name}: ${error.message}`);
  }
  button.disabled = false;
});
main.dataset.ready = "yes";
