// Asks the browser's authenticator and hands the answer to the client's listener on this machine, by a form that the
// whole page follows. It sends nothing to anybody else; the page's content security policy sees to that as well.
"use strict";
(() => {
  const main = document.querySelector("main");
  const button = document.getElementById("use");
  const form = document.getElementById("answer");
  const told = document.getElementById("told");
  const say = (text) => { told.textContent = text; };

  const kinds = {
    "register": [
      () => PublicKeyCredential.parseCreationOptionsFromJSON,
      (publicKey) => navigator.credentials.create({ publicKey }),
    ],
    "sign-in": [
      () => PublicKeyCredential.parseRequestOptionsFromJSON,
      (publicKey) => navigator.credentials.get({ publicKey }),
    ],
  };
  const [reader, ask] = kinds[main.dataset.mode];

  const words = (error) => {
    switch (error.name) {
      case "NotAllowedError":
        return "Nothing was signed: it was cancelled, took too long, or this browser does not trust this page's "
          + "certificate. You may try again.";
      case "InvalidStateError":
        return "This authenticator is registered already.";
      case "SecurityError":
        return "The browser refuses: this page's name does not belong to the passkey's.";
      default:
        return `It did not work: ${error.name}. You may try again.`;
    }
  };

  const use = async () => {
    button.disabled = true;
    say("Follow your browser: touch the key, or confirm on this device.");
    try {
      const options = reader().call(PublicKeyCredential, JSON.parse(main.dataset.options));
      const credential = await ask(options);
      form.elements.answer.value = JSON.stringify(credential.toJSON());
      say("Done. Handing over to your client ...");
      form.submit();
      setTimeout(() => say("Your client did not take it. Is it still waiting? Start it again."), 5000);
    } catch (error) {
      say(words(error));
      button.disabled = false;
    }
  };

  if (typeof PublicKeyCredential === "undefined" || typeof reader() !== "function") {
    say("This browser can't use passkeys here. Use a newer one.");
    return;
  }
  say("");
  button.disabled = false;
  button.addEventListener("click", use);
})();
