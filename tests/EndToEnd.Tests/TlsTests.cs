using System.Net.Http.Json;
using Krewe.Abstractions;
using Krewe.Abstractions.Tests.Tls;
using Krewe.EndToEnd.Tests.Harness;

namespace Krewe.EndToEnd.Tests;

/// <summary>Real processes with TLS on the API and mutual TLS on both links.</summary>
public sealed class TlsTests
{
    [Fact]
    public async Task Everything_speaks_TLS_and_a_worker_with_a_wrong_certificate_is_refused()
    {
        using var authority = new TestAuthority();
        using var stranger = new TestAuthority();
        var files = authority.Issue("node");
        await using var serve = KreweProcess.Start(
        [
            "serve", "--port", "0", "--kv-transport", "tcp", "--tls-cert", files.Certificate, "--tls-key", files.Key,
            .. Arguments(files),
        ]);
        var ready = await serve.WaitForLineAsync(
            line => line.StartsWith("Krewe is ready at https://", StringComparison.Ordinal));
        var address = new Uri(ready.Split(' ')[4]);
        using var http = new HttpClient(new HttpClientHandler
        {
            ServerCertificateCustomValidationCallback = (_, certificate, _, _) => certificate!.Subject == "CN=node",
        });

        // The tokens of this answer were handed off over the data link.
        var answer = await http.PostAsJsonAsync(
            new Uri(address, "/v1/completions"), new { prompt = "Once upon a time there was", max_tokens = 8 });
        answer.EnsureSuccessStatusCode();
        Assert.NotEqual(0, (await ClusterAsync(http, address)).Tokens.Accepted);

        // Plain HTTP gets nothing.
        using var plain = new HttpClient();
        await Assert.ThrowsAnyAsync<HttpRequestException>(
            () => plain.GetAsync(new UriBuilder(address) { Scheme = "http" }.Uri));

        var described = await serve.WaitForLineAsync(
            line => line.Contains("links 127.0.0.1:", StringComparison.Ordinal));
        var link = described.Split("links ")[1].Split(',')[0];
        foreach (var wrong in (string[][])[Arguments(stranger.Issue("spy")), []])
        {
            await using var spy = KreweProcess.Start(["worker", "--id", "spy", "--silo", link, "--verbose", .. wrong]);
            await spy.WaitForLineAsync(line => line.Contains("No link to", StringComparison.Ordinal));
        }

        await serve.WaitForLineAsync(
            line => line.Contains("refused before its hello", StringComparison.Ordinal));
        var cluster = await ClusterAsync(http, address);
        Assert.DoesNotContain(cluster.Workers, worker => worker.Id == "spy");
        Assert.Equal(2, cluster.Workers.Count);
    }

    private static async Task<ClusterState> ClusterAsync(HttpClient http, Uri address) =>
        ClusterState.Parse(await http.GetStringAsync(new Uri(address, "/v1/cluster")));

    private static string[] Arguments(LinkTlsOptions files) =>
        ["--link-cert", files.Certificate, "--link-key", files.Key, "--link-ca", files.Authority];
}
