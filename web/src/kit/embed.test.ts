import { expect, test } from 'vitest';

import { embedCode, escapeHtml } from './embed';

test('a title stays text in the code', () => {
  const code = embedCode({ id: 'ev_1', title: '"><script>alert(1)</script>&' }, 'https://live.example.org');
  expect(code).toBe(
    '<iframe src="https://live.example.org/embed/ev_1" width="960" height="540"' +
      ' title="&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;" style="border:0"' +
      ' allow="autoplay; fullscreen; picture-in-picture" allowfullscreen></iframe>',
  );
  expect(escapeHtml("it's")).toBe('it&#x27;s');
});
