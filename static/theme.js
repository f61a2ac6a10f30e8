// Runs before the first paint: the chosen theme, and that scripts run at all.
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  let theme = null;
  try {
    theme = localStorage.getItem("theme");
  } catch {
    // Storage is off: the system's theme stays.
  }
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
})();
