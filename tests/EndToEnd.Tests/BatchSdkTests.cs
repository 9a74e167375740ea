using System.ClientModel;
using System.Diagnostics;
using System.Text.Json;
using Krewe.EndToEnd.Tests.Harness;
using OpenAI.Files;
using Xunit.Abstractions;

namespace Krewe.EndToEnd.Tests;

/// <summary>The official .NET SDK's files and batches against <c>krewe serve</c>.</summary>
public sealed class BatchSdkTests(SplitCluster fixture, ITestOutputHelper output)
    : ClusterTest(fixture, output), IClassFixture<SplitCluster>
{
    [Fact]
    public async Task A_batch_is_uploaded_run_and_read()
    {
        var (files, batches) = (Cluster.Sdk().GetOpenAIFileClient(), Cluster.Sdk().GetBatchClient());
        var lines = string.Concat(Enumerable.Range(0, 5).Select(i => JsonSerializer.Serialize(new
        {
            custom_id = $"r{i}",
            method = "POST",
            url = "/v1/chat/completions",
            body = new { messages = new[] { new { role = "user", content = "Count from 7 to 12." } }, temperature = 0 },
        }) + "\n"));
        OpenAIFile file = await files.UploadFileAsync(
            BinaryData.FromString(lines), "in.jsonl", FileUploadPurpose.Batch);
        Assert.Equal((FilePurpose.Batch, "in.jsonl"), (file.Purpose, file.Filename));
        Assert.Equal(lines, (await files.DownloadFileAsync(file.Id)).Value.ToString());

        var operation = await batches.CreateBatchAsync(
            BinaryContent.Create(BinaryData.FromObjectAsJson(new
            {
                input_file_id = file.Id,
                endpoint = "/v1/chat/completions",
                completion_window = "24h",
            })),
            waitUntilCompleted: false);
        var batch = await UntilOverAsync(operation);

        Assert.Equal("completed", batch.GetProperty("status").GetString());
        var text = (await files.DownloadFileAsync(batch.GetProperty("output_file_id").GetString()!)).Value.ToString();
        var answers = text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(5, answers.Length);
        Assert.All(answers, line =>
        {
            using var answer = JsonDocument.Parse(line);
            Assert.Equal("7, 8, 9, 10, 11, 12.", answer.RootElement.GetProperty("response").GetProperty("body")
                .GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
        });
        Assert.Contains((await files.GetFilesAsync(FilePurpose.BatchOutput)).Value,
            known => known.Id == batch.GetProperty("output_file_id").GetString());
        Assert.True((await files.DeleteFileAsync(file.Id)).Value.Deleted);
        var gone = await Assert.ThrowsAsync<ClientResultException>(() => files.GetFileAsync(file.Id));
        Assert.Equal(404, gone.Status);
        await Cluster.WhenAllReturnedAsync(workers: 2);
    }

    private static async Task<JsonElement> UntilOverAsync(OpenAI.Batch.CreateBatchOperation operation)
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            using var document = JsonDocument.Parse((await operation.GetBatchAsync(null)).GetRawResponse().Content);
            var status = document.RootElement.GetProperty("status").GetString();
            if (status is "completed" or "failed" or "expired" or "cancelled") return document.RootElement.Clone();
            Assert.True(clock.Elapsed < Patience.Hang, $"The batch is {status} after {Patience.Hang.TotalSeconds} s.");
            await Task.Delay(100);
        }
    }
}
