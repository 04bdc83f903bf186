// Brings a live part to its new content and touches only what differs, so that focus, selection and open details stay;
// brings a reader to the event that an address names.
window.dujiang = (() => {
  "use strict";

  const morph = (id, html) => {
    const part = getHtmlElement(id);
    if (!part) return;
    const fresh = document.createElement("template");
    fresh.innerHTML = html;
    children(part, fresh.content);
    mark();
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

  // Again after each morph, which knows nothing of it.
  const mark = () => {
    const wanted = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (wanted) wanted.dataset.wanted = "";
    return wanted;
  };

  // A page's parts come after the page, so that the browser itself finds no anchor. Once found, a reader is not called back.
  const find = () => {
    const reach = () => {
      const wanted = mark();
      if (!wanted) return false;
      wanted.querySelectorAll("details").forEach((details) => (details.open = true));
      wanted.scrollIntoView({ block: "center" });
      return true;
    };
    if (!location.hash || reach()) return;
    const watching = new MutationObserver(() => reach() && watching.disconnect());
    watching.observe(document.documentElement, { childList: true, subtree: true });
  };
  addEventListener("DOMContentLoaded", find);

  return { morph };
})();
