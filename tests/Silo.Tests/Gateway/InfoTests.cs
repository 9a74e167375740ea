using System.Net;
using Krewe.Silo.Hosting;
using Krewe.Silo.Tests.Harness;

namespace Krewe.Silo.Tests.Gateway;

public sealed class InfoTests
{
    [Fact]
    public async Task Models_are_listed_with_what_clients_read()
    {
        await using var harness = await SiloHarness.StartAsync(
            options => options with { ServedModelName = "org/tiny" });

        var list = await harness.GetJsonAsync("/v1/models");
        var one = await harness.GetJsonAsync("/v1/models/org/tiny");

        Assert.Equal("list", list.Text("object"));
        Assert.Equal("org/tiny", list.Text("data.0.id"));
        Assert.Equal("model", one.Text("object"));
        Assert.Equal("krewe", one.Text("owned_by"));
        Assert.True(one.Int("created") > 0);
        Assert.Equal(2048, one.Int("max_model_len"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("cmpl-")]
    [InlineData("chatcmpl-")]
    public async Task A_request_s_life_has_all_nine_steps_with_times_workers_and_blocks(string prefix)
    {
        await using var harness = await SiloHarness.StartPairAsync();

        // Whatever is told behind the last token is told of a request that is over, and not recorded.
        var last = harness.Decode.Hold = new Hold(15);
        var message = new HttpRequestMessage(HttpMethod.Post, "/v1/completions")
        {
            Content = new StringContent("""{"prompt":[5],"seed":11}""", null, "application/json"),
            Headers = { { "X-Request-Id", "my-own.id_1" } },
        };
        var answering = harness.Client.SendAsync(message);
        await last.Reached;
        await UntilStepsAsync(8);
        last.Release();
        using var response = await answering;
        Assert.Equal("cmpl-my-own.id_1", (await Json.OfAsync(response)).Text("id"));
        await harness.UntilQuietAsync();
        await UntilStepsAsync(9);
        var life = await harness.GetJsonAsync($"/v1/requests/{prefix}my-own.id_1");

        Assert.Equal("finished", life.Text("outcome"));
        Assert.Equal(("length", 16), (life.Text("finish_reason"), life.Int("output_tokens")));
        Assert.Equal((2, 64, 11), (life.Int("blocks_moved"), life.Int("bytes_moved"), life.Int("seed")));
        Assert.StartsWith("prefill-0#", life.Text("plan.prefill_worker"), StringComparison.Ordinal);
        Assert.StartsWith("decode-0#", life.Text("plan.decode_worker"), StringComparison.Ordinal);
        Assert.All(
            life.At("steps").EnumerateArray(), step => Assert.True(step.GetProperty("at_ms").GetDouble() >= 0));

        Task UntilStepsAsync(int count) => Eventually.UntilAsync(
            async () => StepsOf(await harness.GetJsonAsync($"/v1/requests/{prefix}my-own.id_1")).Count == count,
            $"{count} steps are in the record");

        static HashSet<int> StepsOf(System.Text.Json.JsonElement life) =>
            [.. life.At("steps").EnumerateArray().Select(step => step.Int("step"))];
    }

    [Fact]
    public async Task An_unknown_request_is_not_found_and_a_used_id_is_refused()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        HttpRequestMessage Ask() => new(HttpMethod.Post, "/v1/completions")
        {
            Content = new StringContent("""{"prompt":[5]}""", null, "application/json"),
            Headers = { { "X-Request-Id", "twice" } },
        };

        using var unknown = await harness.Client.GetAsync("/v1/requests/nobody");
        using var first = await harness.Client.SendAsync(Ask());
        using var second = await harness.Client.SendAsync(Ask());

        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
        Assert.Equal("not_found", (await Json.OfAsync(unknown)).Text("error.code"));
        Assert.Equal(HttpStatusCode.OK, first.StatusCode);
        Assert.Equal(HttpStatusCode.Conflict, second.StatusCode);
        Assert.Equal("duplicate_request_id", (await Json.OfAsync(second)).Text("error.code"));
    }

    [Fact]
    public async Task An_id_that_could_not_stand_in_a_path_is_replaced()
    {
        await using var harness = await SiloHarness.StartAsync();
        var message = new HttpRequestMessage(HttpMethod.Get, "/v1/models")
        {
            Headers = { { "X-Request-Id", "../../etc" } },
        };

        using var response = await harness.Client.SendAsync(message);

        Assert.Matches("^[0-9a-f]{32}$", response.Headers.GetValues("x-request-id").Single());
    }

    [Fact]
    public async Task The_cluster_shows_workers_streams_and_grains()
    {
        await using var harness = await SiloHarness.StartPairAsync();

        var cluster = await harness.GetJsonAsync("/v1/cluster");

        Assert.Equal(GrainHost.Name, cluster.Text("grain_host"));
        Assert.Equal("silo-0", cluster.Text("silo_id"));
        Assert.Equal(0, cluster.Int("open_streams"));
        Assert.Equal(2, cluster.At("activations").EnumerateObject()
            .Where(type => type.Name.Contains("worker", StringComparison.OrdinalIgnoreCase))
            .Sum(type => type.Value.GetInt32()));
        Assert.Equal("decode-0", cluster.Text("workers.0.id"));
        Assert.Equal("ready", cluster.Text("workers.0.state"));
        Assert.Equal("decode", cluster.Text("workers.0.role"));
        Assert.Equal(4711, cluster.Int("workers.0.pid"));
        Assert.Equal(1024, cluster.Int("workers.0.load.free_blocks"));
    }
}
