// A claim's page hears of answers as they come: its head and what was asked are fetched again, nothing else moves.
const live = document.querySelector("[data-live]");
let source;

async function heard(event) {
  if (event.data === live.dataset.stamp) return;
  const answer = await fetch(location.pathname);
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = [...page.querySelectorAll("[data-fresh]")];
  document.querySelectorAll("[data-fresh]").forEach((part, place) => {
    if (fresh[place] && !part.contains(document.activeElement)) part.innerHTML = fresh[place].innerHTML;
  });
  live.dataset.stamp = event.data;
}

// Many tabs must not use up the browser's connections: a hidden one listens to nothing.
function listen() {
  source?.close();
  if (document.hidden) return;
  source = new EventSource(live.dataset.live);
  source.onmessage = heard;
}
if (live) {
  document.addEventListener("visibilitychange", listen);
  listen();
}
