'use strict';
// The OpenAPI document as text, for where Swagger UI was not built in.

function element(name, attributes, ...children) {
  const out = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) out.setAttribute(key, value);
  out.append(...children);
  return out;
}

function operation(path, method, description) {
  const rows = [];
  const row = (name, text) => rows.push(element('dt', {}, name), element('dd', {}, text));
  for (const p of description.parameters || []) row(`${p.name} (${p.in})`, p.description);
  if (description.requestBody) row('body', description.requestBody.description);
  for (const [status, answer] of Object.entries(description.responses)) {
    if (answer.description) row(status, answer.description);
  }
  return element('section', {class: 'card'},
    element('h3', {}, element('code', {}, method.toUpperCase() + ' ' + path), description.summary),
    element('p', {}, description.description || ''), element('dl', {}, ...rows));
}

async function show() {
  const routes = document.getElementById('routes');
  try {
    const document = await (await fetch('openapi.json')).json();
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const [method, description] of Object.entries(methods)) {
        if (method !== 'head') routes.append(operation(path, method, description));
      }
    }
  } catch (error) {
    routes.append(element('p', {class: 'notice'}, 'The document cannot be read: ' + error.message));
  }
}
show();
