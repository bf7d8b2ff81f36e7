"use strict";
// Asks the authenticator, hands its bytes to the command that serves this page, and shows what the command says.
// Whether they hold is judged there, and by every signer; nothing is decided in here.

const main = document.querySelector("main");
const buttons = [...document.querySelectorAll("button[data-decision]")];

async function proof(decision) {
  if (main.dataset.method !== "passkey") return {};
  const credential = await navigator.credentials.get({
    publicKey: {
      challenge: bytes(main.dataset[decision]),
      rpId: main.dataset.rp,
      allowCredentials: [{ type: "public-key", id: bytes(main.dataset.credential) }],
      userVerification: "required",
      timeout: 120000,
    },
  });
  return {
    client_data: text(credential.response.clientDataJSON),
    authenticator_data: text(credential.response.authenticatorData),
    signature: text(credential.response.signature),
  };
}

async function decide(decision) {
  for (const button of buttons) button.disabled = true;
  say("busy", "Waiting for your key", "Touch it, or use your fingerprint or PIN, when the browser asks.");
  try {
    const body = JSON.stringify({ decision, ...(await proof(decision)) });
    say("busy", "Sending your decision", "It is checked here first, then handed to the host.");
    const response = await fetch("answer", { method: "POST", headers: { "Content-Type": "application/json" }, body });
    if (!response.ok) throw new Error(`the command answered ${response.status}`);
    const answer = await response.json();
    if (answer.done) {
      say(decision === "approve" ? "approved" : "rejected", answer.done.title, answer.done.text);
      document.body.classList.add("answered");
      return;
    }
    say("failed", `Refused: ${answer.refused.reason}`, answer.refused.remedy);
  } catch (error) {
    say("failed", "Nothing was signed", `${error.name}: ${error.message}`);
  }
  for (const button of buttons) button.disabled = false;
}

for (const button of buttons) button.addEventListener("click", () => decide(button.dataset.decision));
main.dataset.ready = "yes";
