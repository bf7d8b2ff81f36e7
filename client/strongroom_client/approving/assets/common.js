"use strict";
// What both pages need: bytes as text and back, and the line in which they say how it stands.

const line = document.querySelector("#status");

function bytes(text) {
  return Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (character) => character.charCodeAt(0));
}

function text(buffer) {
  const binary = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(binary).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

function say(kind, title, detail) {
  line.className = kind;
  line.replaceChildren();
  for (const [tag, words] of [["strong", title], ["span", detail]]) {
    const element = document.createElement(tag);
    element.textContent = words;
    line.append(element);
  }
  line.scrollIntoView({ block: "nearest" });
}
