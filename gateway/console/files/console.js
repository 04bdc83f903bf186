// Brings a live part to its new content and touches only what differs, so that focus, selection and open details stay.
window.dujiang = (() => {
  "use strict";

  const morph = (id, html) => {
    const part = getHtmlElement(id);
    if (!part) return;
    const fresh = document.createElement("template");
    fresh.innerHTML = html;
    children(part, fresh.content);
  };

  const children = (old, fresh) => {
    const wanted = [...fresh.childNodes];
    wanted.forEach((node, at) => {
      const present = old.childNodes[at];
      if (!present) old.appendChild(node);
      else if (present.nodeType !== node.nodeType || present.nodeName !== node.nodeName) old.replaceChild(node, present);
      else if (node.nodeType === Node.ELEMENT_NODE) element(present, node);
      else if (present.nodeValue !== node.nodeValue) present.nodeValue = node.nodeValue;
    });
    while (old.childNodes.length > wanted.length) old.lastChild.remove();
  };

  const element = (old, fresh) => {
    for (const { name, value } of [...fresh.attributes]) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    for (const { name } of [...old.attributes]) {
      const isReaders = name === "open" && old.nodeName === "DETAILS"; // what a reader unfolded stays so
      if (!isReaders && !fresh.hasAttribute(name)) old.removeAttribute(name);
    }
    children(old, fresh);
  };

  return { morph };
})();
