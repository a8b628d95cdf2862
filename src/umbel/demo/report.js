// What a viewer's page shows now, for the demo's self-check and the benches.
() => {
  const hook = window.umbelPlayer, probe = window.umbelProbe;
  const asked = performance.getEntriesByType('resource')
    .filter((entry) => /\/(whep|hls)\//.test(entry.name)).map((entry) => entry.startTime);
  const late = [...probe.latenciesMs].sort((a, b) => a - b);
  return {
    state: hook ? hook.state : 'absent', status: hook ? hook.status : '',
    protocol: hook ? hook.protocol : null, edge: hook ? hook.edge : null,
    trouble: hook ? hook.trouble : '',
    framesDecoded: hook ? hook.framesDecoded : 0,
    details: hook ? {...hook.details} : {},
    ttffMs: probe.firstFrameMs === null || !asked.length
      ? null : Math.round(probe.firstFrameMs - Math.min(...asked)),
    latencyMs: late.length ? late[Math.floor(late.length / 2)] : null,
    latencies: late.length,
  };
}
