// The API's pages: Swagger UI over /openapi.json. Its bundle is served as it is, and nothing is
// fetched from elsewhere. What its markup lacks for keys and screen readers is added where its plugins can.
import 'swagger-ui-dist/swagger-ui.css';
import './docs.css';
import type { createElement, FunctionComponent, ReactNode } from 'react';
import bundle from 'swagger-ui-dist/swagger-ui-bundle.js?url';

import { OURS } from '../kit/rest';

declare const SwaggerUIBundle: (options: Record<string, unknown>) => unknown;

/** Swagger UI's own React is another than the app's. */
interface System {
  React: { createElement: typeof createElement };
}

// Swagger UI puts a link into each operation's button. A control within another is none for screen readers; the button
// itself changes the address, too.
const DeepLink = ({ text }: { text: ReactNode }): ReactNode => text;

/** Swagger UI goes from headings of the first level to those of the third, and has an introduction outside of all landmarks. */
const wrapComponents = {
  operations:
    (original: FunctionComponent, { React: { createElement: make } }: System) =>
    (props: object): ReactNode =>
      make('div', null, make('h2', { className: 'operations' }, 'Operations'), make(original, props)),
  InfoContainer:
    (original: FunctionComponent, { React: { createElement: make } }: System) =>
    (props: object): ReactNode =>
      make('section', { 'aria-label': 'About' }, make(original, props)),
};

const script = document.createElement('script');
script.src = bundle;
script.onload = () =>
  SwaggerUIBundle({
    url: '/openapi.json',
    dom_id: '#docs',
    deepLinking: true,
    plugins: [{ components: { DeepLink }, wrapComponents }],
    validatorUrl: null, // a service elsewhere, else
    requestInterceptor: (request: { headers: Record<string, string> }) => {
      Object.assign(request.headers, OURS);
      return request;
    },
  });
document.head.append(script);
