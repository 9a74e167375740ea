using Krewe.Silo;

namespace Krewe.EndToEnd.Tests.Harness;

/// <summary>A test of several silos: for the Orleans host, and where redis-server is. Else it says why it did not run.
/// </summary>
public sealed class OrleansFactAttribute : FactAttribute
{
    private const string LongTests = "KREWE_LONG_TESTS";

    /// <param name="takes">How long it takes, for a test that only a long run has; null for any run.</param>
    public OrleansFactAttribute(string? takes = null)
    {
        if (SiloHost.GrainHostName != "Orleans")
            Skip = "the embedded grain host is one silo; './krewe test' runs this on Orleans beside it";
        else if (!IsOnPath("redis-server"))
            Skip = "redis-server is not on PATH (Debian, Ubuntu: apt-get install redis-server)";
        else if (takes is not null && Environment.GetEnvironmentVariable(LongTests) is not "1")
            Skip = $"takes {takes}; './krewe test --long' runs it";
    }

    private static bool IsOnPath(string program) => (Environment.GetEnvironmentVariable("PATH") ?? "")
        .Split(Path.PathSeparator).Any(folder => File.Exists(Path.Combine(folder, program)));
}
