using Krewe.Control.Access;

namespace Krewe.Silo.Access;

/// <summary>
/// Request ids of tenants. Inside the cluster an id ends in its tenant, behind a character that no client's id can
/// have: one tenant cannot meet another's id, neither by taking it nor by asking for it.
/// </summary>
internal static class RequestIds
{
    private const char TenantMark = '~';

    /// <summary>The cluster's id of what the tenant calls <paramref name="id"/>.</summary>
    public static string Inside(TenantPolicy tenant, string id) =>
        tenant.Name == TenantPolicy.Anonymous ? id : $"{id}{TenantMark}{tenant.Name}";

    /// <summary>What the tenant calls it.</summary>
    public static string Outside(string id)
    {
        var mark = id.LastIndexOf(TenantMark);
        return mark < 0 ? id : id[..mark];
    }
}
