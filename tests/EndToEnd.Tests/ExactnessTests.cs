using Krewe.EndToEnd.Tests.Harness;
using Xunit.Abstractions;

namespace Krewe.EndToEnd.Tests;

/// <summary>
/// The product's promise: the same request gives the same tokens, offline, on a mixed worker, over a handoff, and among
/// sixteen others.
/// </summary>
public sealed class ExactnessTests(SplitCluster fixture, ITestOutputHelper output)
    : ClusterTest(fixture, output), IClassFixture<SplitCluster>
{
    private const int Seed = 20_260_101;
    private const int Concurrency = 16;
    private const int MaxTokens = 20;

    /// <summary>Around the edges of a block (16) and of a chunk (512), and well behind both.</summary>
    private static readonly int[] Lengths =
    [
        1, 2, 3, 14, 15, 16, 17, 18, 31, 32, 33, 47, 48, 49, 63, 64, 65, 100, 127, 128, 129, 255, 256, 257, 511, 512,
        513, 528, 1023, 1024, 1025,
    ];

    [Fact]
    public async Task Tokens_are_identical_offline_mixed_handed_off_and_in_a_crowd()
    {
        Output.WriteLine($"seed {Seed}");
        var requests = Draw();
        Assert.True(requests.Length >= 50);

        var offline = await Offline.TokensAsync(requests);
        var handedOff = await OneByOneAsync(Cluster, requests);
        var crowd = await CrowdAsync(Cluster, requests);
        await using var mixedCluster = await KreweCluster.StartAsync("--mixed", "1");
        var mixed = await CrowdAsync(mixedCluster, requests);

        AssertSame("handed off", requests, offline, handedOff);
        AssertSame("in a crowd", requests, offline, crowd);
        AssertSame("on a mixed worker", requests, offline, mixed);
        Assert.True(offline.Sum(tokens => tokens.Length) > 10 * requests.Length, "The answers are too short to tell.");
        await AssertCleanAsync(Cluster, workers: 2);
        await AssertCleanAsync(mixedCluster, workers: 1);
    }

    [Fact]
    public void A_difference_in_one_token_is_seen()
    {
        var requests = Draw();
        var truth = requests.Select(_ => new[] { 1, 2, 3 }).ToArray();
        var other = requests.Select(_ => new[] { 1, 2, 3 }).ToArray();
        AssertSame("control", requests, truth, other);

        other[7] = [1, 2, 4];

        var failure = Assert.ThrowsAny<Exception>(() => AssertSame("control", requests, truth, other));
        Assert.Contains(requests[7].ToString(), failure.Message);
    }

    [Fact]
    public async Task Questions_that_the_model_knows_are_answered_rightly_over_a_handoff()
    {
        // A lost or doubled block or token shows in these to the naked eye.
        var counting = new TokenRequest(Prompts.Chat("Count from 21 to 29."), 80, 0, 0, IgnoreEos: false);

        var tokens = await counting.AskAsync(Cluster);

        using var model = Models.ModelFolder.Open(Prompts.ModelFolder, openWeights: false);
        Assert.Equal("21, 22, 23, 24, 25, 26, 27, 28, 29.", model.Tokenizer.Decode(tokens));
    }

    /// <summary>Each length greedily and sampled; every third one ends where the model ends.</summary>
    private static TokenRequest[] Draw()
    {
        var prompts = new Prompts(Seed);
        return
        [
            .. Lengths.SelectMany((length, index) => ((double[])[0, 0.9]).Select(temperature => new TokenRequest(
                prompts.OfLength(length), MaxTokens, temperature, Seed + (index % 2), IgnoreEos: index % 3 != 0))),
        ];
    }

    private static async Task<int[][]> OneByOneAsync(KreweCluster cluster, TokenRequest[] requests)
    {
        var answers = new int[requests.Length][];
        for (var i = 0; i < requests.Length; i++) answers[i] = await requests[i].AskAsync(cluster);
        return answers;
    }

    private static async Task<int[][]> CrowdAsync(KreweCluster cluster, TokenRequest[] requests)
    {
        var answers = new int[requests.Length][];
        var order = new Prompts(Seed + 1).Shuffled(Enumerable.Range(0, requests.Length));
        await Parallel.ForEachAsync(
            order, new ParallelOptions { MaxDegreeOfParallelism = Concurrency },
            async (i, cancellationToken) => answers[i] = await requests[i].AskAsync(cluster, cancellationToken));
        return answers;
    }

    private static void AssertSame(string where, TokenRequest[] requests, int[][] truth, int[][] seen)
    {
        var different = Enumerable.Range(0, requests.Length).Where(i => !truth[i].AsSpan().SequenceEqual(seen[i]))
            .Select(i => $"{requests[i]}: {string.Join(' ', truth[i])} became {string.Join(' ', seen[i])}").ToArray();
        Assert.True(different.Length == 0, $"{where}: {different.Length} differ:\n{string.Join('\n', different)}");
    }

    private static async Task AssertCleanAsync(KreweCluster cluster, int workers)
    {
        var state = await cluster.WhenAllReturnedAsync(workers);
        Assert.Equal(0, state.Tokens.Contradicting);
    }
}
