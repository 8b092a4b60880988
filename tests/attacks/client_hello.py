"""A ClientHello written by hand (RFC 5246 §7.4.1.2): offers what no library offers any more, and reads how the server takes it."""
import os
import socket
import struct

SSL3, TLS10, TLS11, TLS12 = (3, 0), (3, 1), (3, 2), (3, 3)
VERSION_NAMES = {SSL3: "SSL 3.0", TLS10: "TLS 1.0", TLS11: "TLS 1.1", TLS12: "TLS 1.2"}

MODERN = (0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8)     # ECDHE, AES-GCM and ChaCha20
OLD = (0xC009, 0xC013, 0xC00A, 0xC014, 0x002F, 0x0035, 0x000A)      # what TLS 1.0 had: CBC with SHA-1
WEAK = {
    "RC4": (0xC007, 0xC011, 0x0005, 0x0004),
    "3DES": (0xC008, 0xC012, 0x0016, 0x000A),
    "no encryption": (0xC006, 0xC010, 0x003B, 0x0002, 0x0001),
    "export keys": (0x0003, 0x0006, 0x0008, 0x0014),
    "no certificate": (0xC018, 0xC019, 0xC015, 0x0034, 0x006C, 0x00A6, 0x0018),
}


def extension(number, body):
    return struct.pack(">HH", number, len(body)) + body


def listed(body):
    return struct.pack(">H", len(body)) + body


def client_hello(version=TLS12, ciphers=MODERN, name="localhost", compressions=b"\0"):
    """The record."""
    extensions = extension(0x0000, listed(b"\0" + listed(name.encode())))      # server_name
    extensions += extension(0x000A, listed(struct.pack(">HHH", 0x001D, 0x0017, 0x0018)))   # supported_groups
    extensions += extension(0x000B, b"\1\0")     # ec_point_formats
    extensions += extension(0x000D, listed(struct.pack(">HHHHHH", 0x0403, 0x0804, 0x0401, 0x0203, 0x0201, 0x0503)))  # signature_algorithms
    extensions += extension(0xFF01, b"\0")   # renegotiation_info
    body = bytes(version) + os.urandom(32) + b"\0" + listed(struct.pack(f">{len(ciphers)}H", *ciphers))
    body += bytes([len(compressions)]) + compressions + listed(extensions)
    handshake = b"\1" + struct.pack(">I", len(body))[1:] + body
    return b"\x16" + bytes(min(version, TLS10)) + listed(handshake)


def answer_to(address, record, seconds=10):
    """("hello", version, cipher, compression), ("alert", number), ("closed",) or ("other", octets)."""
    with socket.create_connection(address, timeout=seconds) as peer:
        octets = b""
        try:
            peer.sendall(record)
            while len(octets) < 5 or len(octets) < 5 + struct.unpack(">H", octets[3:5])[0]:
                block = peer.recv(65536)
                if not block:
                    break
                octets += block
        except TimeoutError:
            return ("other", b"silence")
        except OSError:
            pass
    if len(octets) < 7:
        return ("closed",)
    if octets[0] == 0x15:
        return ("alert", octets[6])
    if octets[0] == 0x16 and octets[5] == 2:
        session = octets[43]
        cipher, compression = struct.unpack(">HB", octets[44 + session:47 + session])
        return ("hello", tuple(octets[9:11]), cipher, compression)
    return ("other", octets[:20])
