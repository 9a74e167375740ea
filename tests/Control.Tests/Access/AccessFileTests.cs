using Krewe.Control.Access;

namespace Krewe.Control.Tests.Access;

public sealed class AccessFileTests
{
    private static readonly DateTimeOffset Now = new(2026, 11, 28, 2, 0, 0, TimeSpan.Zero);

    [Fact]
    public void A_key_is_found_by_its_hash_with_its_tenants_limits()
    {
        var table = Read($$$"""
            {
              // Comments are allowed.
              "keys": [{"name": "web", "sha256": "{{{Hash("the key of the web site")}}}", "tenant": "acme",
                        "roles": ["inference", "operator"]}],
              "tenants": {"acme": {"weight": 2, "max_concurrent": 3, "max_seconds": 1.5, "share_prefixes": true}},
            }
            """);

        var key = table.Find(ApiKey.HashOf("the key of the web site"), Now)!;

        Assert.Equal(("web", "acme", AccessRoles.Inference | AccessRoles.Operator), (key.Name, key.Tenant, key.Roles));
        var tenant = table.PolicyOf("acme");
        Assert.Equal((2, 3, TimeSpan.FromSeconds(1.5)), (tenant.Weight, tenant.MaxConcurrent, tenant.MaxTime));
        Assert.True(tenant.SharesPrefixes);
        Assert.Null(table.Find(ApiKey.HashOf("the key of the web sitf"), Now));
    }

    [Fact]
    public void A_key_without_tenant_and_roles_may_generate_for_the_default_tenant()
    {
        var table = Read($$"""{"keys": [{"name": "a", "sha256": "{{Hash("k")}}"}]}""");

        var key = Assert.Single(table.Keys);
        Assert.Equal((AccessFile.UsualTenant, AccessRoles.Inference), (key.Tenant, key.Roles));
        Assert.Null(table.PolicyOf("default").MaxConcurrent);
    }

    [Fact]
    public void An_expired_key_is_not_found()
    {
        var table = Read($$"""
            {"keys": [{"name": "a", "sha256": "{{Hash("k")}}", "expires": "2026-11-28T02:00:00Z"}]}
            """);

        Assert.Null(table.Find(ApiKey.HashOf("k"), Now));
        Assert.NotNull(table.Find(ApiKey.HashOf("k"), Now.AddSeconds(-1)));
    }

    [Theory]
    [InlineData("""{"keys": [{"name": "a", "sha256": "sk-this-is-the-key-itself"}]}""", "never the key")]
    [InlineData("""{"keys": [{"name": "a", "sha256": "HASH", "roles": ["root"]}]}""", "'root'")]
    [InlineData("""{"keys": [{"name": "a", "sha256": "HASH", "roles": []}]}""", "no role")]
    [InlineData("""{"keys": [{"name": "a b", "sha256": "HASH"}]}""", "a name is")]
    [InlineData("""{"keys": [{"name": "a", "sha256": "HASH", "tenant": "x:y"}]}""", "tenant 'x:y'")]
    [InlineData("""{"keys": [{"name": "a", "sha256": "HASH"}, {"name": "a", "sha256": "HASH"}]}""", "Two keys")]
    [InlineData("""{"keys": [{"name": "a", "sha256": "HASH"}, {"name": "b", "sha256": "HASH"}]}""", "the same hash")]
    [InlineData("""{"keys": [], "tenants": {"a": {"max_concurent": 5}}}""", "max_concurent")]
    [InlineData("""{"keys": [], "tenants": {"a": {"max_concurrent": 0}}}""", "'max_concurrent' is 0")]
    [InlineData("""{"keys": [], "tenants": {"a": {"weight": 0}}}""", "'weight'")]
    [InlineData("""{"keys": [{"name": "a"}]}""", "sha256")]
    [InlineData("key: value", "no key file")]
    public void What_is_wrong_is_named(string json, string expected)
    {
        AccessFile.Read([("keys.json", json.Replace("HASH", Hash("k"), StringComparison.Ordinal))], out var errors);

        Assert.Contains(errors, error => error.Contains(expected, StringComparison.Ordinal));
    }

    [Fact]
    public void Every_tenant_has_a_partition_of_its_own_unless_it_shares()
    {
        TenantPolicy[] tenants =
        [
            new() { Name = TenantPolicy.Anonymous }, new() { Name = "a" }, new() { Name = "b" },
            new() { Name = "c", SharesPrefixes = true }, new() { Name = "d", SharesPrefixes = true },
        ];
        // Salts that try to lead into another's partition.
        string[] salts = ["", "x", "tenant:a:", "salt:x", "a:", "b:x"];

        var apart = tenants[..3].SelectMany(tenant => salts.Select(tenant.PrefixSalt)).ToList();

        Assert.Equal(apart.Count, apart.Distinct().Count());
        Assert.Equal(tenants[3].PrefixSalt("x"), tenants[4].PrefixSalt("x"));
    }

    private static string Hash(string key) => Convert.ToHexStringLower(ApiKey.HashOf(key));

    private static AccessTable Read(string json)
    {
        var table = AccessFile.Read([("keys.json", json)], out var errors);
        Assert.Empty(errors);
        return table;
    }
}
