using System.Security.Cryptography;
using System.Text;

namespace Krewe.Control.Access;

/// <summary>One API key as the cluster knows it: never the key, only its hash.</summary>
/// <param name="Name">For logs and the audit trail.</param>
/// <param name="Hash">SHA-256 of the key's UTF-8 bytes. Keys are long and random, so that no salt and no slow hash are
/// needed: there is nothing to guess.</param>
/// <param name="Tenant">Who pays, shares and is kept apart.</param>
/// <param name="ExpiresAt">UTC; null = never.</param>
public sealed record ApiKey(
    string Name, ReadOnlyMemory<byte> Hash, string Tenant, AccessRoles Roles, DateTimeOffset? ExpiresAt)
{
    /// <summary>Bytes of a hash.</summary>
    public const int HashBytes = SHA256.HashSizeInBytes;

    /// <summary>Shorter keys could be guessed, and a fast hash would not keep them.</summary>
    public const int CharsMin = 20;

    public static byte[] HashOf(string key) => SHA256.HashData(Encoding.UTF8.GetBytes(key));
}
