using Krewe.EndToEnd.Tests.Harness;
using Xunit.Abstractions;

namespace Krewe.EndToEnd.Tests;

/// <summary>Official JavaScript clients, unchanged: openai 6 and 7, @langchain/openai (tools/node-clients).</summary>
public sealed class NodeClientTests(TalkativeCluster fixture, ITestOutputHelper output)
    : ClusterTest(fixture, output), IClassFixture<TalkativeCluster>
{
    [NodeFact]
    public async Task Official_javascript_clients_work_unchanged()
    {
        await using var node = KreweProcess.StartProgram(
            "node", Path.Combine(NodeFactAttribute.Folder, "clients.mjs"), new Uri(Cluster.Address, "/v1").ToString());

        var code = await node.WaitForExitAsync();

        Output.WriteLine(node.Log);
        Assert.True(code == 0, node.Log);
        Assert.Contains("all checks passed", node.Output, StringComparison.Ordinal);
        await Cluster.WhenAllReturnedAsync(workers: 2);
    }

    [NodeFact]
    public async Task A_server_that_answers_otherwise_fails_them()
    {
        // The positive control: nothing listens there.
        await using var node = KreweProcess.StartProgram(
            "node", Path.Combine(NodeFactAttribute.Folder, "clients.mjs"), "http://127.0.0.1:9/v1");

        Assert.Equal(1, await node.WaitForExitAsync());
    }
}

/// <summary>
/// A test that needs Node and the packages of tools/node-clients, which .ci/run installs: skipped, saying so,
/// where they are not.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class NodeFactAttribute : FactAttribute
{
    public NodeFactAttribute()
    {
        if (!Directory.Exists(Path.Combine(Folder, "node_modules", "openai7")))
            Skip = "needs Node.js and: npm install --no-package-lock --prefix tools/node-clients";
    }

    /// <summary>Where the script and its packages are.</summary>
    public static string Folder { get; } = Path.Combine(RepositoryRoot(), "tools", "node-clients");

    private static string RepositoryRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Orleans.sln")))
            folder = folder.Parent ?? throw new DirectoryNotFoundException("No Orleans.sln above the test's folder.");
        return folder.FullName;
    }
}
