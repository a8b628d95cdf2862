// No text stands in the code of the app: what people read is in the catalogue. Reads the syntax of every source.

import { readdirSync, readFileSync } from 'node:fs';

import ts from 'typescript';
import { describe, expect, test } from 'vitest';

const SOURCES = new URL('../', import.meta.url);

/** Without texts for people: types, the catalogue itself, the page of the API's documentation, tests. */
const OTHERS = /^(i18n|docs)\/|\.test\.tsx?$|api-types\.ts$|\/(machine-harness|fake-world|feed-stand-in)\.ts$/;

/** Attributes whose values are for programs. All others may be read out or shown, also those of components. */
const FOR_PROGRAMS = new Set(
  (
    'accept aria-current aria-describedby aria-hidden aria-labelledby aria-live autoCapitalize autoComplete begin ' +
    'className d data-testid decoding dominantBaseline fill fillRule href htmlFor icon id inputMode key kind loading markerEnd markerUnits name orient pattern ' +
    'preserveAspectRatio rel role scope stroke strokeLinecap target textAnchor transform type value viewBox x1'
  ).split(' '),
);

/** Elements of HTML have a `name` for programs; that of a component may be shown. */
function isForPrograms(attribute: ts.JsxAttribute): boolean {
  const name = attribute.name.getText();
  const tag = attribute.parent.parent.tagName.getText();
  return FOR_PROGRAMS.has(name) && !(name === 'name' && /^[A-Z]/.test(tag) && tag !== 'Field' && tag !== 'Icon');
}

/** Names that are the same in each language, and what other programs define. */
const NAMES = new Set(
  (
    'Umbel WebRTC HLS VP8 ApiError Authorization Location Retry-After Upload-Offset AppleWebKit Chrom Edg Edge ' +
    'Firefox Chrome Safari Opera Android Windows Linux CrOS PushManager Notification RTCPeerConnection ' +
    'NotAllowedError NotFoundError OverconstrainedError NotReadableError AbortError TimeoutError Root'
  ).split(' '),
);

/** Begins like a sentence or a label, or has several words. One small word alone looks like a key. */
const LOOKS_READ = /^[^\p{L}]*\p{Lu}\p{Ll}|\p{L}[^\p{L}\s]* [“(]?\p{L}|…/u;

interface Found {
  line: number;
  text: string;
}

const isText = (text: string): boolean => /\p{L}{2}/u.test(text) && !NAMES.has(text.trim()) && LOOKS_READ.test(text);

/** Where a literal is no text, whatever it looks like: keys, comparisons, types, errors that are never shown. */
function isElsewhere(node: ts.Node): boolean {
  const { parent } = node;
  if (ts.isCaseClause(parent) || ts.isElementAccessExpression(parent)) return true;
  if (ts.isPropertyAssignment(parent) && parent.name === node) return true;
  if (ts.isBinaryExpression(parent)) return /^[!=]==$/.test(parent.operatorToken.getText());
  // What is thrown as an Error is caught by code, or is a defect: people see the text of `errorText`.
  return ts.isNewExpression(parent) && parent.expression.getText() === 'Error';
}

/** The name of what a hook reads, or of what is remembered: a key of its own, also under a condition. */
function isKey(node: ts.Node): boolean {
  const { parent } = node;
  if (ts.isCallExpression(parent))
    return /^(useLive|dismissals\.add|names\.includes)$/.test(parent.expression.getText());
  if (ts.isVariableDeclaration(parent)) return parent.name.getText() === 'key';
  return (ts.isConditionalExpression(parent) || ts.isBinaryExpression(parent)) && isKey(parent);
}

/** A literal that is shown as it stands, between tags: alone, or as a choice. */
function isShown(node: ts.Node): boolean {
  const { parent } = node;
  if (ts.isJsxExpression(parent)) return !ts.isJsxAttribute(parent.parent);
  if (ts.isConditionalExpression(parent)) return parent.condition !== node && isShown(parent);
  if (ts.isBinaryExpression(parent)) return parent.right === node && isShown(parent);
  return ts.isParenthesizedExpression(parent) && isShown(parent);
}

/** What is between the tags of an element, as far as it has letters. */
const ofElement = (node: ts.JsxText): string => node.text.trim().replace(/\s+/g, ' ');

/** The attribute that a literal is the value of, alone or as a part of an expression. */
function attributeOf(node: ts.Node): ts.JsxAttribute | null {
  for (let one = node.parent; one; one = one.parent) {
    if (ts.isJsxAttribute(one)) return one;
    if (ts.isJsxElement(one) || ts.isFunctionLike(one)) return null;
  }
  return null;
}

/** The literal's text, with the expressions of a template as `0`; null where the node is no literal. */
function literalOf(node: ts.Node): string | null {
  if (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node)) return node.text;
  if (!ts.isTemplateExpression(node)) return null;
  return node.head.text + node.templateSpans.map(({ literal }) => `0${literal.text}`).join('');
}

/** Texts for people in a source that are not the catalogue's. */
function textsIn(name: string, source: string): Found[] {
  const file = ts.createSourceFile(name, source, ts.ScriptTarget.Latest, true);
  const found: Found[] = [];
  const add = (node: ts.Node, text: string): void => {
    found.push({ line: file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1, text });
  };
  const visitLiteral = (node: ts.Node, text: string): void => {
    const attribute = attributeOf(node);
    if (attribute && isForPrograms(attribute)) return;
    if (isElsewhere(node) || isKey(node)) return;
    // What is shown itself is a text, however short it is; within another expression it may be a key.
    if (node.parent === attribute || isShown(node) ? /\p{L}{2}/u.test(text) && !NAMES.has(text) : isText(text))
      add(node, text);
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node) || ts.isTypeNode(node)) return;
    // The keys of the catalogue are checked by the compiler.
    if (ts.isJsxText(node) && /\p{L}{2}/u.test(node.text) && !NAMES.has(ofElement(node))) add(node, ofElement(node));
    const text = literalOf(node);
    if (text !== null) visitLiteral(node, text);
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

/** Literals that look like texts and are none, by file. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  'kit/embed.ts': [
    '<iframe src="00" width="960" height="540"',
    ' title="0" style="border:0"',
    ' allow="autoplay; fullscreen; picture-in-picture" allowfullscreen></iframe>',
  ],
  'kit/format.ts': ['0 Mbit/s', '0 Gbit/s'],
  'kit/push.ts': ['Mac OS'],
  'kit/rest.ts': ['Bearer 0'],
  'network/page.tsx': ['umbel node add'],
  'player/stage.tsx': ['input, select, textarea, dialog', 'button, a, summary'],
  'player/whep.ts': ['Bearer 0'],
  'studio/publisher.ts': ['Bearer 0'],
  'ui/navigation.tsx': ['0 · Umbel'],
};

test('no text for people stands in the code', () => {
  const files = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' });
  const sources = files.filter((file) => /\.tsx?$/.test(file) && !OTHERS.test(file));
  expect(sources.length).toBeGreaterThan(100);
  const found = sources.flatMap((file) =>
    textsIn(file, readFileSync(new URL(file, SOURCES), 'utf8'))
      .filter(({ text }) => !ALLOWED[file]?.includes(text))
      .map(({ line, text }) => `${file}:${String(line)}: ${text}`),
  );
  expect(found, 'put these into src/i18n/en.ts and de.ts').toEqual([]);
});

describe('is found', () => {
  test.each([
    ['between tags', '<p>Go back</p>'],
    ['between tags, one word', '<p>now</p>'],
    ['next to an expression', '<p>{count} events</p>'],
    ['between tags, as a choice', "<p>{isOn ? 'on' : t('a.b')}</p>"],
    ['in a label', '<button aria-label="Close" />'],
    ['in a label, as an expression', "<button aria-label={on ? 'Stop the file' : t('a.b')} />"],
    ['in a template', `<p>{\`Until \${when}\`}</p>`],
    ['in a title', '<p title="later" />'],
    ['as a placeholder', '<input placeholder="Words that were said" />'],
    ['as an option of a component', '<Empty title="Nothing" />'],
    ['as the name of a component', '<Fact name="Edge node" />'],
    ['in a constant', "const REASONS = { no: 'It is not there.' };"],
    ['as a result', "const f = () => 'Paused';"],
  ])('%s', (_what, source) => {
    expect(textsIn('a.tsx', source)).toHaveLength(1);
  });

  test.each([
    ['a key', "t('app.skip')"],
    ['classes', '<p className="row row-start" />'],
    ['a name of a field', '<input name="Title" />'],
    ['a case', "switch (x) { case 'Escape': }"],
    ['a comparison', "if (x === 'Escape') f();"],
    ['a type', "const x: 'Some text' = y;"],
    ['an import', "import { a } from 'Some text';"],
    ['an address', `const x = \`/api/v1/events/\${id}\`;`],
    ['a dash', '<p>–</p>'],
  ])('not %s', (_what, source) => {
    expect(textsIn('a.tsx', source)).toEqual([]);
  });
});
