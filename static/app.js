// What the pages add where scripts run. Without it everything can still be read.
(() => {
  "use strict";
  const root = document.documentElement;
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];

  const say = (text) => {
    const live = document.getElementById("live");
    if (live) live.textContent = text;
  };

  const warn = (text) => {
    const box = document.getElementById("notices");
    if (!box) return;
    const note = document.createElement("div");
    note.className = "notice notice-error";
    note.textContent = text;
    box.replaceChildren(note);
    setTimeout(() => note.remove(), 12000);
  };

  // Theme: system, light, dark, and again. -----------------------------------------
  const THEMES = ["system", "light", "dark"];
  const theme = () => root.dataset.theme || "system";
  const labelTheme = () => {
    for (const button of all("[data-theme-switch]")) {
      button.setAttribute("aria-label", `Theme: ${theme()}. Change it.`);
      button.title = `Theme: ${theme()}`;
    }
  };
  const changeTheme = () => {
    const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
    if (next === "system") delete root.dataset.theme;
    else root.dataset.theme = next;
    try {
      localStorage.setItem("theme", next);
    } catch {
      // Storage is off: the choice lasts as long as the page.
    }
    labelTheme();
    say(`Theme: ${next}`);
  };

  // Copy ---------------------------------------------------------------------------
  const copy = async (button) => {
    const text = button.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // No clipboard without TLS: the old way, through a selection.
      const area = document.createElement("textarea");
      area.value = text;
      area.className = "visually-hidden";
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
      button.focus();
    }
    button.classList.add("copied");
    say("Copied");
    setTimeout(() => button.classList.remove("copied"), 1500);
  };

  // Menus: one open at a time, Esc and a click elsewhere close -----------------------
  const closeMenus = (except) => {
    for (const menu of all("details.menu[open]")) {
      if (!except || !menu.contains(except)) menu.open = false;
    }
  };

  const moveInMenu = (event) => {
    const menu = event.target.closest("details.menu[open]");
    if (!menu || !["ArrowDown", "ArrowUp", "Home", "End"].includes(event.key)) return;
    const items = all("a[href], button, input, select", menu).filter(
      (item) => item.offsetParent !== null && !item.disabled,
    );
    if (!items.length) return;
    if (["Home", "End"].includes(event.key) && event.target.type === "search") return;
    const at = items.indexOf(document.activeElement);
    const next = {
      ArrowDown: at + 1,
      ArrowUp: at < 0 ? items.length - 1 : at - 1,
      Home: 0,
      End: items.length - 1,
    }[event.key];
    event.preventDefault();
    items[(next + items.length) % items.length].focus();
  };

  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-copy], [data-theme-switch]");
    if (target?.matches("[data-copy]")) copy(target);
    if (target?.matches("[data-theme-switch]")) changeTheme();
    closeMenus(event.target);
  });

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input:not([type=checkbox]), textarea, select");
    if (event.key === "Escape") {
      const menu = event.target.closest("details.menu[open]");
      closeMenus();
      if (menu) menu.querySelector("summary").focus();
      else if (event.target.id === "q") event.target.blur();
      return;
    }
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    const search = document.getElementById("q");
    if (event.key === "/" && plain && !typing && search) {
      event.preventDefault();
      search.focus();
      search.select();
      return;
    }
    moveInMenu(event);
  });

  // A long list in a menu gets a box that narrows it.
  document.addEventListener("input", (event) => {
    if (!event.target.matches("[data-narrow]")) return;
    event.stopPropagation();
    const wanted = event.target.value.trim().toLowerCase();
    for (const item of all("[data-item]", event.target.closest(".menu-panel"))) {
      item.hidden = !item.textContent.toLowerCase().includes(wanted);
    }
  });
  document.addEventListener("focusout", (event) => {
    const menu = event.target.closest("details.menu[open]");
    const next = event.relatedTarget;
    // A click on a label focuses <main>, which is around the menu: it stays open.
    if (menu && next && !menu.contains(next) && !next.contains(menu)) {
      menu.open = false;
    }
  });

  // Filters --------------------------------------------------------------------------
  // "In" and "not in" of one stage exclude each other.
  document.addEventListener(
    "change",
    (event) => {
      const box = event.target;
      if (!box.matches("[data-pair]") || !box.checked) return;
      for (const other of all(`input[data-pair]`, box.form)) {
        if (other !== box && other.dataset.pair === box.dataset.pair) {
          other.checked = false;
        }
      }
    },
    true,
  );

  // An address without what is empty.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "get") return;
    for (const field of [...form.elements]) {
      if (field.name && field.value === "" && !field.disabled) {
        field.disabled = true;
        setTimeout(() => (field.disabled = false));
      }
    }
  });

  // A choice that is an address: the version picker's jump.
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
  });

  // Times: on hover also by the reader's own clock.
  document.addEventListener("mouseover", (event) => {
    const time = event.target.closest?.("time[datetime]:not([data-own])");
    if (!time) return;
    time.dataset.own = "";
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.valueOf())) time.title += `\nHere: ${at.toLocaleString()}`;
  });

  // Actions ----------------------------------------------------------------------------
  // Typing one's own version or stage chooses it.
  document.addEventListener("input", (event) => {
    const picks = event.target.dataset?.picks;
    if (!picks) return;
    const box = event.target.closest(".choices");
    const radio = all("input[type=radio]", box).find((one) => one.value === picks);
    if (radio) radio.checked = true;
  });
  // One click is one action: the button says that it is under way.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    const button = event.submitter;
    if (!form.matches("[data-act]") || !button?.matches("[data-writes]")) return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "";
    form.setAttribute("aria-busy", "true");
    setTimeout(() => {
      button.disabled = true;
      button.textContent = "Writing…";
      say("Writing…");
    });
  });
  // Back in the browser's history: the form is as it was, and can be sent.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) for (const form of all("form[data-sent]")) location.reload();
  });
  // A row's menu opens beside its button; without scripts it opens in the middle.
  document.addEventListener(
    "toggle",
    (event) => {
      const panel = event.target;
      if (!panel.matches?.("[popover].row-menu") || event.newState !== "open") return;
      const button = document.querySelector(`[popovertarget="${panel.id}"]`);
      const at = button.getBoundingClientRect();
      const top = Math.min(at.bottom + 4, innerHeight - panel.offsetHeight - 8);
      panel.style.top = `${Math.max(8, top)}px`;
      panel.style.left = `${Math.min(at.left, innerWidth - panel.offsetWidth - 8)}px`;
      panel.querySelector("a")?.focus({ preventScroll: true });
    },
    true,
  );
  document.addEventListener("keydown", (event) => {
    const panel = event.target.closest?.("[popover].row-menu");
    if (!panel || !["ArrowDown", "ArrowUp"].includes(event.key)) return;
    const items = all("a[href]", panel);
    const at = items.indexOf(document.activeElement);
    const next = event.key === "ArrowDown" ? at + 1 : at - 1;
    event.preventDefault();
    items[(next + items.length) % items.length].focus();
  });

  // htmx -------------------------------------------------------------------------------
  document.addEventListener("htmx:responseError", (event) => {
    const status = event.detail.xhr.status;
    const why =
      {
        403: "The server refused this. Sign in again, then try once more.",
        404: "This is no longer there. Reload the page.",
      }[status] || `The server could not answer (${status}). Try again in a moment.`;
    warn(why);
  });
  document.addEventListener("htmx:sendError", () =>
    warn("The server cannot be reached. What you see is the last answer."),
  );
  // A page further on starts at its top.
  document.addEventListener("htmx:afterSwap", (event) => {
    const link = event.detail.requestConfig?.elt;
    if (link?.closest?.(".pager")) {
      event.detail.target.closest("main")?.scrollIntoView({ block: "start" });
    }
  });

  // A table wider than its box shows that there is more to the right.
  const markWide = (box) => {
    const more = box.scrollWidth - box.clientWidth - box.scrollLeft > 4;
    box.parentElement.classList.toggle("scrolls", more);
  };
  const markAllWide = () => all(".table-box").forEach(markWide);
  document.addEventListener(
    "scroll",
    (event) => event.target.matches?.(".table-box") && markWide(event.target),
    true,
  );
  window.addEventListener("resize", markAllWide);
  document.addEventListener("htmx:afterSettle", markAllWide);
  markAllWide();

  labelTheme();
})();
