using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using Krewe.Silo.Dashboard;
using Krewe.Silo.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace Krewe.Silo.Tests.Dashboard;

public sealed partial class DashboardTests
{
    [Fact]
    public async Task The_page_and_all_that_it_names_come_from_this_silo_under_a_strict_policy()
    {
        await using var silo = await SiloHarness.StartAsync();
        var page = await silo.Client.GetAsync("/dashboard");
        var html = await page.Content.ReadAsStringAsync();

        Assert.EndsWith("/dashboard/", page.RequestMessage!.RequestUri!.AbsolutePath, StringComparison.Ordinal);
        var policy = Assert.Single(page.Headers.GetValues("Content-Security-Policy"));
        Assert.Contains("default-src 'none'", policy, StringComparison.Ordinal);
        Assert.DoesNotContain("unsafe", policy, StringComparison.Ordinal);
        Assert.DoesNotMatch(InlineCode(), html);
        var named = Named().Matches(html).Select(match => match.Groups[1].Value).ToHashSet();
        Assert.Contains("vendor/uPlot.iife.min.js", named);
        var seen = new HashSet<string>();
        while (named.Except(seen).FirstOrDefault() is { } path)
        {
            seen.Add(path);
            using var file = await silo.Client.GetAsync($"/dashboard/{path}");
            Assert.True(file.StatusCode == HttpStatusCode.OK, path);
            Assert.NotNull(file.Headers.ETag);
            if (!path.EndsWith(".js", StringComparison.Ordinal) || path.StartsWith("vendor", StringComparison.Ordinal))
                continue;
            var code = await file.Content.ReadAsStringAsync();
            named.UnionWith(Imported().Matches(code).Select(match => match.Groups[1].Value));
            Assert.DoesNotContain("innerHTML", code, StringComparison.Ordinal);
        }

        Assert.True(seen.Count >= 15, string.Join(", ", seen));
        Assert.Equal(HttpStatusCode.NotFound, (await silo.Client.GetAsync("/dashboard/nothing.js")).StatusCode);
    }

    [Fact]
    public async Task A_file_that_the_browser_has_is_not_sent_again()
    {
        await using var silo = await SiloHarness.StartAsync();
        using var first = await silo.Client.GetAsync("/dashboard/app.js");
        using var again = new HttpRequestMessage(HttpMethod.Get, "/dashboard/app.js");
        again.Headers.IfNoneMatch.Add(first.Headers.ETag!);
        using var second = await silo.Client.SendAsync(again);

        Assert.Equal(HttpStatusCode.NotModified, second.StatusCode);
    }

    [Fact]
    public async Task A_request_is_in_the_list_the_ring_and_the_grains_calls()
    {
        await using var silo = await SiloHarness.StartPairAsync();
        // Two links, two orders: the last token may be here before the prefill worker's first word, which nobody keeps
        // then. So decode waits until the grain has heard of all four parts.
        var hold = new Hold(1);
        silo.Decode.Hold = hold;
        var asked = silo.PostAsync(
            "/v1/completions", """{"model": "tiny", "prompt": "My secret is plum", "max_tokens": 5}""");
        await hold.Reached;
        string[] kinds = [];
        await Eventually.UntilAsync(
            async () =>
            {
                var running = (await silo.GetJsonAsync("/dashboard/api/requests")).GetProperty("data")[0];
                var life = await silo.GetJsonAsync($"/dashboard/api/requests/{running.GetProperty("id").GetString()}");
                kinds = [.. life.GetProperty("segments").EnumerateArray()
                    .Select(one => one.GetProperty("kind").GetString()!).Order()];
                return kinds.Length >= 4;
            },
            "the request's grain knows all four parts of its life");
        Assert.Equal(["decode", "handoff", "prefill", "queue"], kinds);
        hold.Release();
        using var answer = await asked;
        var id = answer.Headers.GetValues("x-request-id").Single();
        await silo.UntilQuietAsync();
        JsonElement row = default;
        await Eventually.UntilAsync(
            async () =>
            {
                row = (await silo.GetJsonAsync("/dashboard/api/requests")).GetProperty("data")[0];
                return row.GetProperty("state").GetString() == "finished";
            },
            "the request has ended, a moment after its client has the answer");
        Assert.Equal(id, row.GetProperty("id").GetString());
        Assert.Equal(5, row.GetProperty("output_tokens").GetInt32());
        Assert.True(row.GetProperty("ttft_ms").GetDouble() >= 0);

        var sampler = silo.Silo.Services.GetRequiredService<SnapshotSampler>();
        sampler.Take();
        var history = await silo.GetJsonAsync("/dashboard/api/history?after=0");
        var finished = history.GetProperty("series").GetProperty("finished");
        Assert.Equal(history.GetProperty("time").GetArrayLength(), finished.GetArrayLength());
        Assert.True(finished.EnumerateArray().Sum(value => value.GetDouble()) > 0);
        Assert.True(history.GetProperty("series").TryGetProperty("decode.kv_usage", out _));
        Assert.False(history.GetProperty("series").TryGetProperty("mixed.kv_usage", out _));

        var methods = (await silo.GetJsonAsync("/dashboard/api/grains")).GetProperty("methods").EnumerateArray();
        Assert.Contains(methods, one => one.GetProperty("method").GetString() == "StartAsync"
            && one.GetProperty("calls").GetInt64() >= 1);
        var state = await silo.GetJsonAsync("/dashboard/api/state");
        Assert.Equal(2, state.GetProperty("workers").GetArrayLength());
    }

    [Fact]
    public async Task What_an_operator_does_is_written_down()
    {
        await using var silo = await SiloHarness.StartPairAsync();
        using var answer = await silo.PostAsync("/v1/cluster/workers/decode-0/cordon", "{}");
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);

        var audit = (await silo.GetJsonAsync("/v1/cluster/audit")).GetProperty("data").EnumerateArray();
        Assert.Contains(audit, one => one.GetProperty("status").GetInt32() == 200
            && one.GetProperty("path").GetString() == "/v1/cluster/workers/decode-0/cordon");
        var worker = (await silo.GetJsonAsync("/dashboard/api/state")).GetProperty("workers").EnumerateArray()
            .Single(one => one.GetProperty("worker").GetProperty("id").GetString() == "decode-0");
        Assert.Equal("draining", worker.GetProperty("worker").GetProperty("state").GetString());
    }

    [Fact]
    public void The_ring_keeps_a_quarter_of_an_hour()
    {
        var ring = new SnapshotRing();
        var start = DateTimeOffset.UnixEpoch.AddYears(50);
        for (var i = 0; i < 2000; i++) ring.Add(new Snapshot(start.AddSeconds(i), []));

        Assert.Equal(SnapshotRing.SecondsMax, ring.After(DateTimeOffset.MinValue).Count);
        Assert.Single(ring.After(start.AddSeconds(1998)));
    }

    [GeneratedRegex("""(?:src|href)="\./([^"]+)["]""")]
    private static partial Regex Named();

    [GeneratedRegex("""from '\./([^']+)'""")]
    private static partial Regex Imported();

    [GeneratedRegex("""<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=""")]
    private static partial Regex InlineCode();
}
