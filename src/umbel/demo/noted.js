// Which states the page's player goes through from now on.
(() => {
  const noted = new Set();
  setInterval(() => {
    noted.add(window.umbelPlayer.state);
    window.noted = [...noted];
  }, 20);
})()
