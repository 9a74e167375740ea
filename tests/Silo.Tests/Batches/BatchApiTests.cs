using System.Net;
using System.Text;
using System.Text.Json;
using Krewe.Abstractions;
using Krewe.Silo.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;
using Orleans;

namespace Krewe.Silo.Tests.Batches;

public sealed class BatchApiTests
{
    private const string Endpoint = "/v1/completions";

    [Fact]
    public async Task A_batch_runs_and_every_request_has_its_line()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        var file = await UploadAsync(harness, null, Lines(20) + Line("wrong", """{"prompt":[5],"temperature":-1}"""));
        Assert.Equal(("file", "batch", "processed"),
            (file.Text("object"), file.Text("purpose"), file.Text("status")));

        var batch = await CreateAsync(harness, null, file.Text("id")!, """,{"color":"red"}""");
        Assert.Equal("batch", batch.Text("object"));
        Assert.Equal("red", batch.Text("metadata.color"));
        batch = await UntilAsync(harness, null, batch.Text("id")!, "completed");

        Assert.Equal((21, 20, 1), (
            batch.Int("request_counts.total"), batch.Int("request_counts.completed"),
            batch.Int("request_counts.failed")));
        Assert.True(batch.At("completed_at").GetInt64() >= batch.At("in_progress_at").GetInt64());
        var answers = await ContentAsync(harness, null, batch.Text("output_file_id")!);
        Assert.Equal(
            Enumerable.Range(0, 20).Select(i => $"r{i}").Order(),
            answers.Select(line => line.Text("custom_id")!).Order());
        Assert.All(answers, line =>
        {
            Assert.Equal(200, line.Int("response.status_code"));
            Assert.Equal(SiloHarness.Answer, line.Text("response.body.choices.0.text"));
            Assert.Equal(JsonValueKind.Null, line.At("error").ValueKind);
        });
        var error = Assert.Single(await ContentAsync(harness, null, batch.Text("error_file_id")!));
        Assert.Equal("wrong", error.Text("custom_id"));
        Assert.Equal(400, error.Int("response.status_code"));
        Assert.Equal("temperature", error.Text("response.body.error.param"));
        await harness.UntilQuietAsync();
    }

    [Fact]
    public async Task Wrong_lines_fail_the_batch_before_anything_runs()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        var file = await UploadAsync(harness, null, Lines(2) + "oops\n" + Line("r0"));

        var batch = await CreateAsync(harness, null, file.Text("id")!);
        batch = await UntilAsync(harness, null, batch.Text("id")!, "failed");

        var errors = batch.At("errors.data");
        Assert.Equal([(3, "invalid_json_line"), (4, "duplicate_custom_id")],
            errors.EnumerateArray().Select(error => (error.Int("line"), error.Text("code")!)));
        Assert.Equal(JsonValueKind.Null, batch.At("output_file_id").ValueKind);
        Assert.DoesNotContain(harness.Prefill.Started, start => !start.Key.RequestId.StartsWith("ready-", default));
    }

    [Fact]
    public async Task A_cancelled_batch_keeps_what_was_done()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        var file = await UploadAsync(harness, null, Lines(3));
        var hold = harness.Decode.Hold = new Hold(3);
        var batch = await CreateAsync(harness, null, file.Text("id")!);
        await hold.Reached;

        var cancelling = await Json.OfAsync(
            await harness.PostAsync($"/v1/batches/{batch.Text("id")}/cancel", "{}"));
        Assert.Equal("cancelling", cancelling.Text("status"));
        batch = await UntilAsync(harness, null, batch.Text("id")!, "cancelled");

        Assert.Equal(0, batch.Int("request_counts.completed"));
        await harness.UntilQuietAsync();
    }

    [Fact]
    public async Task Online_requests_go_before_the_batch_and_the_batch_has_the_lowest_priority()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        var file = await UploadAsync(harness, null, Lines(4));
        var hold = harness.Prefill.Hold = new Hold(0);
        await CreateAsync(harness, null, file.Text("id")!);
        await Eventually.UntilAsync(() => harness.Prefill.Started.Count(IsBatch) == 2, "two are dispatched");

        var online = harness.PostAsync(Endpoint, """{"prompt":[9],"max_tokens":2}""");

        await Eventually.UntilAsync(
            () => harness.Prefill.Started.Any(start => start.PromptTokens[0] == 9), "the online one is dispatched");
        Assert.Equal(2, harness.Prefill.Started.Count(IsBatch));
        hold.Release();
        (await online).EnsureSuccessStatusCode();
        await harness.UntilQuietAsync();
    }

    [Fact]
    public async Task Tenants_see_their_own_files_and_batches_only()
    {
        using var keys = KeyFile.OfRoles();
        await using var harness = await SiloHarness.StartPairAsync(options => options with { ApiKeys = keys.Path });
        var file = await UploadAsync(harness, "user", Lines(1));
        var batch = await CreateAsync(harness, "user", file.Text("id")!);
        batch = await UntilAsync(harness, "user", batch.Text("id")!, "completed");

        foreach (var path in (string[])[
            $"/v1/files/{file.Text("id")}", $"/v1/files/{batch.Text("output_file_id")}/content",
            $"/v1/batches/{batch.Text("id")}"])
        {
            Assert.Equal(HttpStatusCode.NotFound, (await harness.GetAsAsync("other", path)).StatusCode);
            Assert.Equal(HttpStatusCode.OK, (await harness.GetAsAsync("user", path)).StatusCode);
        }

        foreach (var path in (string[])["/v1/files", "/v1/batches"])
        {
            Assert.Equal(0, (await Json.OfAsync(await harness.GetAsAsync("other", path))).At("data").GetArrayLength());
            Assert.NotEqual(
                0, (await Json.OfAsync(await harness.GetAsAsync("user", path))).At("data").GetArrayLength());
        }

        var stolen = await harness.PostAsAsync("other", "/v1/batches", BatchOf(file.Text("id")!));
        Assert.Equal(HttpStatusCode.NotFound, stolen.StatusCode);
    }

    [Fact]
    public async Task Files_are_listed_in_pages_and_deleted()
    {
        await using var harness = await SiloHarness.StartAsync();
        for (var i = 0; i < 3; i++) await UploadAsync(harness, null, Lines(i + 1));

        var page = await harness.GetJsonAsync("/v1/files?limit=2");
        Assert.True(page.At("has_more").GetBoolean());
        var last = await harness.GetJsonAsync($"/v1/files?limit=2&after={page.Text("last_id")}");
        Assert.Equal(1, last.At("data").GetArrayLength());
        var id = last.Text("data.0.id");
        Assert.Equal(Lines(1), await harness.Client.GetStringAsync($"/v1/files/{id}/content"));

        var deleted = await Json.OfAsync(await harness.Client.DeleteAsync($"/v1/files/{id}"));
        Assert.True(deleted.At("deleted").GetBoolean());
        Assert.Equal(HttpStatusCode.NotFound, (await harness.Client.GetAsync($"/v1/files/{id}/content")).StatusCode);
    }

    [Theory]
    [InlineData("""{"input_file_id":"file-x","endpoint":"/v1/completions","completion_window":"24h"}""", 404, "id")]
    [InlineData("""{"input_file_id":"file-x","endpoint":"/v1/audio","completion_window":"24h"}""", 400, "endpoint")]
    [InlineData("""{"endpoint":"/v1/completions","completion_window":"24h"}""", 400, "input_file_id")]
    [InlineData(
        """{"input_file_id":"file-x","endpoint":"/v1/completions","completion_window":"soon"}""", 400,
        "completion_window")]
    [InlineData(
        """{"input_file_id":"f","endpoint":"/v1/completions","completion_window":"24h","metadata":[1]}""", 400,
        "metadata")]
    public async Task A_wrong_batch_is_refused_by_name(string body, int status, string field)
    {
        await using var harness = await SiloHarness.StartAsync();

        var refused = await harness.PostAsync("/v1/batches", body);

        Assert.Equal(status, (int)refused.StatusCode);
        Assert.Equal(field, (await Json.OfAsync(refused)).Text("error.param"));
    }

    [Fact]
    public async Task A_wrong_upload_is_refused_by_name()
    {
        await using var harness = await SiloHarness.StartAsync();

        Assert.Equal(HttpStatusCode.BadRequest, (await harness.PostAsync("/v1/files", "{}")).StatusCode);
        using var form = Form(Lines(1), "fine-tune");
        var refused = await harness.Client.PostAsync("/v1/files", form);
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Equal("purpose", (await Json.OfAsync(refused)).Text("error.param"));
        using var latin = new MultipartFormDataContent
        {
            { new StringContent("batch"), "purpose" },
            { new ByteArrayContent([0xff, 0xfe, 0x41]), "file", "x.jsonl" },
        };
        Assert.Equal(HttpStatusCode.BadRequest, (await harness.Client.PostAsync("/v1/files", latin)).StatusCode);
        Assert.Equal(0, (await harness.GetJsonAsync("/v1/files")).At("data").GetArrayLength());
    }

    [Fact]
    public async Task A_batch_goes_on_after_a_restart_and_runs_nothing_twice()
    {
        using var folder = new KeyFile();
        var data = Path.Combine(folder.Folder, "data");
        string id;
        await using (var harness = await SiloHarness.StartPairAsync(options => options with { DataDirectory = data }))
        {
            var file = await UploadAsync(harness, null, Lines(40));
            // The first ones end, the later ones stay.
            var first = harness.Decode.Hold = new Hold(3);
            var batch = await CreateAsync(harness, null, file.Text("id")!);
            id = batch.Text("id")!;
            await first.Reached;
            harness.Decode.Hold = new Hold(3);
            first.Release();
            await Eventually.UntilAsync(
                async () => (await harness.GetJsonAsync($"/v1/batches/{id}")).Int("request_counts.completed") > 0,
                "some are done");
            batch = await harness.GetJsonAsync($"/v1/batches/{id}");
            Assert.Equal("in_progress", batch.Text("status"));
        }

        await using var next = await SiloHarness.StartPairAsync(options => options with { DataDirectory = data });
        var done = await UntilAsync(next, null, id, "completed");

        Assert.Equal(40, done.Int("request_counts.completed"));
        var lines = await ContentAsync(next, null, done.Text("output_file_id")!);
        Assert.Equal(40, lines.Select(line => line.Text("custom_id")).Distinct().Count());
        Assert.Equal(40, lines.Count);
    }

    /// <summary>The silo was paused for longer than its claim, and another has gone on meanwhile.</summary>
    [Fact]
    public async Task A_line_that_another_silo_has_written_is_not_written_again()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        var file = await UploadAsync(harness, null, Lines(3));
        var hold = harness.Decode.Hold = new Hold(3);
        var batch = await CreateAsync(harness, null, file.Text("id")!);
        await hold.Reached;
        var grains = harness.Silo.Services.GetRequiredService<IGrainFactory>();
        var record = await grains.GetGrain<IBatchGrain>(batch.Text("id")!).GetAsync();
        var output = grains.GetGrain<IStoredFileGrain>(record!.OutputFileId!);
        const string Others = """{"custom_id":"r0","response":{"status_code":200}}""" + "\n";
        Assert.NotNull(await output.AppendAsync(Others, 0));
        Assert.Null(await output.AppendAsync(Others, 0));

        hold.Release();
        var done = await UntilAsync(harness, null, batch.Text("id")!, "completed");

        var lines = await ContentAsync(harness, null, done.Text("output_file_id")!);
        Assert.Equal(["r0", "r1", "r2"], lines.Select(line => line.Text("custom_id")!).Order());
        Assert.Equal(3, done.Int("request_counts.completed"));
    }

    private static bool IsBatch(Abstractions.Wire.StartSequence start) => start.Priority < -1000;

    private static string Lines(int count) => string.Concat(Enumerable.Range(0, count).Select(i => Line($"r{i}")));

    private static string Line(string id, string? body = null)
    {
        var number = id.StartsWith('r') ? id[1..] : "7";
        return $$"""{"custom_id":"{{id}}","method":"POST","url":"{{Endpoint}}","body":"""
            + (body ?? $$"""{"prompt":[5,{{number}}],"max_tokens":50}""") + "}\n";
    }

    private static string BatchOf(string fileId, string metadata = "") =>
        $$"""{"input_file_id":"{{fileId}}","endpoint":"{{Endpoint}}","completion_window":"24h" """
        + (metadata.Length > 0 ? $"{metadata[..1]}\"metadata\":{metadata[1..]}" : "") + "}";

    private static MultipartFormDataContent Form(string lines, string purpose = "batch") => new()
    {
        { new StringContent(purpose), "purpose" },
        { new ByteArrayContent(Encoding.UTF8.GetBytes(lines)), "file", "input.jsonl" },
    };

    private static async Task<JsonElement> UploadAsync(SiloHarness harness, string? name, string lines)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/files") { Content = Form(lines) };
        if (name is not null) request.Headers.Authorization = new("Bearer", KeyFile.KeyOf(name));
        var answer = await harness.Client.SendAsync(request);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
        return await Json.OfAsync(answer);
    }

    private static async Task<JsonElement> CreateAsync(
        SiloHarness harness, string? name, string fileId, string metadata = "")
    {
        var answer = await harness.SendAsync(name, HttpMethod.Post, "/v1/batches", BatchOf(fileId, metadata));
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
        return await Json.OfAsync(answer);
    }

    private static async Task<JsonElement> UntilAsync(SiloHarness harness, string? name, string id, string status)
    {
        JsonElement batch = default;
        await Eventually.UntilAsync(
            async () =>
            {
                batch = await Json.OfAsync(await harness.GetAsAsync(name, $"/v1/batches/{id}"));
                return batch.Text("status") == status;
            },
            $"batch {id} is {status}");
        return batch;
    }

    private static async Task<List<JsonElement>> ContentAsync(SiloHarness harness, string? name, string fileId)
    {
        var answer = await harness.GetAsAsync(name, $"/v1/files/{fileId}/content");
        var text = await answer.Content.ReadAsStringAsync();
        return [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line =>
        {
            using var document = JsonDocument.Parse(line);
            return document.RootElement.Clone();
        })];
    }
}
