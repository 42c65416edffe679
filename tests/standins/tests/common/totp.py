# What an authenticator app shows (RFC 6238): SECRET in base 32, and how many half minutes ago.
import base64
import hmac
import struct
import sys
import time

count = struct.pack(">Q", int(time.time()) // 30 - int(sys.argv[2]))
tag = hmac.new(base64.b32decode(sys.argv[1]), count, "sha1").digest()
at = tag[-1] & 15
print("%06d" % ((struct.unpack(">I", tag[at:at + 4])[0] & 0x7FFFFFFF) % 1000000))
