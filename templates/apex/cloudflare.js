// A worker with the routes {{ federated }}/.well-known/matrix/*{% if homeserver %} and {{ federated }}/_matrix/client/*{% endif %}
const documents = {
  "/.well-known/matrix/server": '{{ server_document }}',
{%- if homeserver %}
  "/.well-known/matrix/client": '{{ client_document }}',
{%- endif %}
};
export default {
  async fetch(request) {
    const url = new URL(request.url);
    const document = documents[url.pathname];
    if (document) {
      return new Response(document, {
        headers: { "Content-Type": "application/json", "Access-Control-Allow-Origin": "*" },
      });
    }
{%- if homeserver %}
    // Other Rocket.Chats ask here whether somebody exists.
    if (request.method === "GET" && /^\/_matrix\/client\/[^/]+\/register\/available$/.test(url.pathname)) {
      return fetch(`https://{{ matrix }}${url.pathname}${url.search}`);
    }
{%- endif %}
    return fetch(request);
  },
};
// Without a worker, a redirect rule ({{ matrix }} answers these paths too):
//   if       http.host eq "{{ federated }}" and (starts_with(http.request.uri.path, "/.well-known/matrix/"){% if homeserver %} or ends_with(http.request.uri.path, "/register/available"){% endif %})
//   dynamic  concat("https://{{ matrix }}", http.request.uri.path), status 307, preserve query string
