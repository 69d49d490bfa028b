"use strict";
// Airflow keeps the chosen colours under "theme"; without a choice those of the system hold.
(() => {
  const follow = () => {
    let chosen = null;
    try { chosen = localStorage.getItem("theme"); } catch { /* storage is closed: the system's colours hold */ }
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
    else delete document.documentElement.dataset.theme;
  };
  follow();
  addEventListener("storage", follow);

  addEventListener("DOMContentLoaded", () => {
    // What is being read for the first time is there in a moment.
    const pending = document.getElementById("pending");
    if (pending) setTimeout(() => location.reload(), Number(pending.dataset.again));
    for (const select of document.querySelectorAll("select[data-go]"))
      select.addEventListener("change", () => location.assign(select.value));
  });
})();
