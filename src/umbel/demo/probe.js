// In every page of the demo's viewers: notes when the first frame shows and how old each frame is, from
// the time that the encoder burns into the top row. {BITS, BIT_PX, WIDTH} come before this.
window.umbelProbe = {firstFrameMs: null, latenciesMs: []};
(() => {
  const canvas = document.createElement('canvas');
  canvas.width = BITS; canvas.height = 1;
  const pen = canvas.getContext('2d', {willReadFrequently: true});
  const read = (video) => {
    const scale = video.videoWidth / WIDTH;
    pen.drawImage(video, 0, BIT_PX * scale / 2, BITS * BIT_PX * scale, 1, 0, 0, BITS, 1);
    const dots = pen.getImageData(0, 0, BITS, 1).data;
    let ms = 0;
    for (let i = 0; i < BITS; i++) if (dots[i * 4] > 128) ms += 2 ** i;
    return ms;
  };
  const follow = (video) => {
    const seen = () => {
      const probe = window.umbelProbe;
      if (probe.firstFrameMs === null) probe.firstFrameMs = performance.now();
      const late = (Date.now() - read(video)) % 2 ** 32;
      if (late >= 0 && late < 60000) probe.latenciesMs.push(late);
      video.requestVideoFrameCallback(seen);
    };
    video.requestVideoFrameCallback(seen);
  };
  const known = new WeakSet();
  new MutationObserver(() => {
    for (const video of document.querySelectorAll('video'))
      if (!known.has(video)) { known.add(video); follow(video); }
  }).observe(document, {childList: true, subtree: true});
})();
