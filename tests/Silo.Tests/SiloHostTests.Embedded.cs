using Krewe.Silo.Tests.Harness;

namespace Krewe.Silo.Tests;

/// <summary>What only the embedded grain host refuses.</summary>
public sealed partial class SiloHostTests
{
    [Fact]
    public async Task A_redis_for_the_embedded_host_is_an_invalid_option()
    {
        var (code, _, errors) = await RunAsync(SiloHarness.DefaultOptions() with { RedisConnection = "redis:6379" });

        Assert.Equal(2, code);
        Assert.Contains("GrainRuntime=Orleans", errors, StringComparison.Ordinal);
    }
}
