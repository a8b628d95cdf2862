// A viewer with no player around it: one WebRTC connection that is never opened again. Tells how long no
// picture came at most since it was asked last, and which stream and packets it has.
async ({whep, token}) => {
  const pc = new RTCPeerConnection();
  const video = Object.assign(document.createElement('video'), {muted: true, autoplay: true});
  const media = new MediaStream();
  document.body.append(video);
  pc.addTransceiver('video', {direction: 'recvonly'});
  pc.addTransceiver('audio', {direction: 'recvonly'});
  pc.ontrack = ({track}) => { media.addTrack(track); video.srcObject = media; video.play(); };
  await pc.setLocalDescription(await pc.createOffer());
  while (pc.iceGatheringState !== 'complete')
    await new Promise((done) => pc.addEventListener('icegatheringstatechange', done, {once: true}));
  const answer = await fetch(whep, {
    method: 'POST', body: pc.localDescription.sdp,
    headers: {'Content-Type': 'application/sdp', Authorization: `Bearer ${token}`},
  });
  if (!answer.ok) throw new Error(`the edge answers ${answer.status}: ${await answer.text()}`);
  await pc.setRemoteDescription({type: 'answer', sdp: await answer.text()});
  let last = null, worst = 0, frames = 0;
  const states = [];
  pc.onconnectionstatechange = () => states.push(pc.connectionState);
  const seen = () => {
    const now = performance.now();
    if (last !== null) worst = Math.max(worst, now - last);
    last = now;
    frames += 1;
    video.requestVideoFrameCallback(seen);
  };
  video.requestVideoFrameCallback(seen);
  window.umbelFrames = () => frames;
  window.umbelViewer = async () => {
    const waits = last === null ? 0 : performance.now() - last;
    const told = {frames, gapMs: Math.round(Math.max(worst, waits)), state: pc.connectionState, states};
    worst = 0;
    for (const one of (await pc.getStats()).values()) {
      if (one.type === 'inbound-rtp' && one.kind === 'video')
        Object.assign(told, {ssrc: one.ssrc, lost: one.packetsLost, received: one.packetsReceived});
      if (one.type === 'remote-candidate' && one.address) told.address = one.address;
    }
    return told;
  };
}
