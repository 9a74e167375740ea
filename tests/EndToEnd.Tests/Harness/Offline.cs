using System.Text.Json;

namespace Krewe.EndToEnd.Tests.Harness;

/// <summary>The truth that clusters are compared with: <c>krewe generate</c>, one process, no links.</summary>
public static class Offline
{
    /// <summary>One process for all requests of equal settings; there they run one after the other.</summary>
    public static async Task<int[][]> TokensAsync(params TokenRequest[] requests)
    {
        var answers = new Dictionary<TokenRequest, int[]>();
        var groups = requests.GroupBy(
            request => (request.Temperature, request.Seed, request.IgnoreEos, request.MaxTokens));
        foreach (var group in groups)
        {
            var (code, text, log) = await KreweProcess.RunAsync(
            [
                "generate", "--json", "--max-tokens", $"{group.Key.MaxTokens}", "--temperature",
                $"{group.Key.Temperature}", "--seed", $"{group.Key.Seed}",
                .. group.Key.IgnoreEos ? (string[])["--ignore-eos"] : [],
                .. group.SelectMany(request => (string[])["--prompt-ids", string.Join(',', request.Prompt)]),
            ]);
            Assert.True(code == 0, log);
            var lines = text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
            Assert.Equal(group.Count(), lines.Length);
            foreach (var (request, line) in group.Zip(lines))
            {
                using var answer = JsonDocument.Parse(line);
                answers[request] = TokenRequest.Ids(answer.RootElement.GetProperty("token_ids"));
            }
        }

        return [.. requests.Select(request => answers[request])];
    }
}
