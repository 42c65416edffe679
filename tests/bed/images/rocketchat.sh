# shellcheck shell=bash
# registry.rocket.chat/rocketchat/rocket.chat: the stand-in takes the place of node.

names() { printf 'tls rocketchat/rocket.chat %s\n' 6.13.1 7.10.15 8.5.3; }
base() { echo alpine; }
inputs() { standin rocketchat; }

fill() {
    local root=$1 tag=$2
    put_standin "$root" rocketchat /usr/local/bin/node
    add_user "$root" rocketchat 65533 65533 /home/rocketchat
    install -d -o 65533 -g 65533 "$root/app" "$root/app/bundle" "$root/app/uploads"
    echo "// Rocket.Chat $tag: the stand-in needs no script" | put_file "$root" /app/bundle/main.js 644
    echo "$tag" | put_file "$root" /app/bundle/rocket.chat-version 644
}

config() {
    cat <<'JSON'
{"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "DEPLOY_METHOD=docker", "NODE_ENV=production",
         "MONGO_URL=mongodb://mongo:27017/rocketchat", "HOME=/tmp", "PORT=3000", "ROOT_URL=http://localhost:3000",
         "Accounts_AvatarStorePath=/app/uploads"],
 "User": "rocketchat", "WorkingDir": "/app/bundle", "Volumes": {"/app/uploads": {}},
 "Cmd": ["node", "main.js"], "ExposedPorts": {"3000/tcp": {}}}
JSON
}
