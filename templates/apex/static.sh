# Run in the directory that becomes https://{{ federated }}/, then publish it.
mkdir -p .well-known/matrix
printf '%s' '{{ server_document }}' >.well-known/matrix/server
{%- if homeserver %}
printf '%s' '{{ client_document }}' >.well-known/matrix/client
{%- endif %}
# GitHub Pages leaves out directories that begin with a dot, unless this file is there.
touch .nojekyll
# Netlify and Cloudflare Pages: what the files are, and who may read them.
cat >>_headers <<'END'
/.well-known/matrix/*
  Content-Type: application/json
  Access-Control-Allow-Origin: *
END
{%- if homeserver %}
# The same two: other Rocket.Chats ask here whether somebody exists. A host that cannot redirect cannot answer them.
cat >>_redirects <<'END'
/_matrix/client/v3/register/available https://{{ matrix }}/_matrix/client/v3/register/available 307
END
{%- endif %}
