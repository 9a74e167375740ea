using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace Krewe.Control.Kv;

/// <summary>
/// Name of one full block's content: 128 bits over everything before it and in it. SHA-256, truncated: with a weaker
/// hash a tenant could search for a prompt that collides with another's and be served its KV.
/// </summary>
public readonly record struct PrefixHash(UInt128 Value)
{
    /// <summary>The parent of a sequence's first block. Different models and salts (tenants) share nothing.</summary>
    public static PrefixHash Root(string modelFingerprint, string salt) =>
        Truncate(SHA256.HashData(Encoding.UTF8.GetBytes($"krewe.prefix.1\0{modelFingerprint}\0{salt}")));

    /// <summary>The hash of the block that follows this one and holds <paramref name="tokens"/>.</summary>
    public PrefixHash Next(ReadOnlySpan<int> tokens)
    {
        Span<byte> input = stackalloc byte[16 + (sizeof(int) * tokens.Length)];
        BinaryPrimitives.WriteUInt128LittleEndian(input, Value);
        MemoryMarshal.AsBytes(tokens).CopyTo(input[16..]);
        Span<byte> digest = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(input, digest);
        return Truncate(digest);
    }

    private static PrefixHash Truncate(ReadOnlySpan<byte> digest) =>
        new(BinaryPrimitives.ReadUInt128LittleEndian(digest));
}
