using Krewe.EndToEnd.Tests.Harness;
using Krewe.Silo;

namespace Krewe.EndToEnd.Tests;

/// <summary>The embedded host says that it is one silo.</summary>
public sealed class OneSiloTests
{
    [EmbeddedFact]
    public async Task A_cluster_is_refused_with_what_to_do()
    {
        var (code, _, log) = await KreweProcess.RunAsync("cluster", "up");

        Assert.Equal(2, code);
        Assert.Contains("is one silo", log, StringComparison.Ordinal);
        Assert.Contains("GrainRuntime=Orleans ./krewe cluster up", log, StringComparison.Ordinal);
    }

    private sealed class EmbeddedFactAttribute : FactAttribute
    {
        public EmbeddedFactAttribute()
        {
            if (SiloHost.GrainHostName != "Embedded") Skip = "this build has the Orleans host";
        }
    }
}
