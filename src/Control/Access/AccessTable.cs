using System.Security.Cryptography;

namespace Krewe.Control.Access;

/// <summary>Every key and tenant, as one file or several said it. Immutable: a reload makes a new one.</summary>
public sealed class AccessTable(IReadOnlyList<ApiKey> keys, IReadOnlyDictionary<string, TenantPolicy> tenants)
{
    public static AccessTable Empty { get; } = new([], new Dictionary<string, TenantPolicy>());

    public IReadOnlyList<ApiKey> Keys => keys;

    /// <summary>The tenants that a key or a policy names, in no order.</summary>
    public IEnumerable<string> TenantNames =>
        keys.Select(key => key.Tenant).Union(tenants.Keys, StringComparer.Ordinal);

    /// <summary>The key with this hash; null = none, or it has expired.</summary>
    /// <remarks>Compares with every key and never stops early, so that its time tells nothing of any hash.</remarks>
    public ApiKey? Find(ReadOnlySpan<byte> hash, DateTimeOffset now)
    {
        ApiKey? found = null;
        foreach (var key in keys)
        {
            if (CryptographicOperations.FixedTimeEquals(key.Hash.Span, hash)) found = key;
        }

        return found is { ExpiresAt: { } end } && end <= now ? null : found;
    }

    /// <summary>The tenant's policy; the usual one when none was written.</summary>
    public TenantPolicy PolicyOf(string tenant) =>
        tenants.GetValueOrDefault(tenant) ?? new TenantPolicy { Name = tenant };
}
