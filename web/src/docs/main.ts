// The API's pages: Swagger UI over /openapi.json. Its bundle is served as it is, and nothing is
// fetched from elsewhere.
import 'swagger-ui-dist/swagger-ui.css';
import bundle from 'swagger-ui-dist/swagger-ui-bundle.js?url';

import { OURS } from '../kit/rest';

declare const SwaggerUIBundle: (options: Record<string, unknown>) => unknown;

const script = document.createElement('script');
script.src = bundle;
script.onload = () =>
  SwaggerUIBundle({
    url: '/openapi.json',
    dom_id: '#docs',
    deepLinking: true,
    validatorUrl: null, // a service elsewhere, else
    requestInterceptor: (request: { headers: Record<string, string> }) => {
      Object.assign(request.headers, OURS);
      return request;
    },
  });
document.head.append(script);
