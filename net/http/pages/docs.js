'use strict';
SwaggerUIBundle({
  url: 'openapi.json',
  dom_id: '#swagger',
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  validatorUrl: null,  // no address but this server's
});
