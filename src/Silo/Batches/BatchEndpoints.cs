using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Krewe.Abstractions;
using Krewe.Control.Access;
using Krewe.Silo.Access;
using Krewe.Silo.Gateway;
using Krewe.Silo.Gateway.Requests;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Orleans;

namespace Krewe.Silo.Batches;

/// <summary>/v1/batches. A tenant sees its own.</summary>
internal sealed class BatchEndpoints(
    StoredFiles files, BatchRunner runner, IGrainFactory grains, Entropy entropy, TimeProvider time)
{
    private const int MetadataMax = 16;
    private const int MetadataKeyCharsMax = 64;
    private const int MetadataValueCharsMax = 512;

    private static readonly TimeSpan WindowMax = TimeSpan.FromDays(7);

    public void Map(IEndpointRouteBuilder routes)
    {
        var clients = routes.MapGroup("").RequireRole(AccessRoles.Inference);
        clients.MapPost("/v1/batches", (RequestDelegate)CreateAsync);
        clients.MapGet("/v1/batches", (RequestDelegate)ListAsync);
        clients.MapGet("/v1/batches/{id}", (RequestDelegate)GetAsync);
        clients.MapPost("/v1/batches/{id}/cancel", (RequestDelegate)CancelAsync);
    }

    private async Task CreateAsync(HttpContext context)
    {
        using var body = RequestBody.Parse(await RequestBody.ReadAsync(context));
        var tenant = context.Caller().Tenant;
        var now = time.GetUtcNow();
        var record = RequestReader.Checked(body, root => Read(root, tenant.Name, now));
        var input = await files.DemandAsync(record.InputFileId, tenant);
        if (input.Purpose != "batch")
        {
            throw new KreweException(
                ErrorCode.InvalidRequest, $"The file '{input.FileId}' is a batch's output, not an input.",
                "input_file_id");
        }

        await GrainOf(record.BatchId).CreateAsync(record);
        await files.ShelfOf(tenant.Name).AddBatchAsync(record.BatchId);
        runner.Wake();
        await WriteAsync(context, record);
    }

    private async Task ListAsync(HttpContext context)
    {
        var page = ListPage.Read(context.Request);
        var shelf = await files.ShelfOf(context.Caller().Tenant.Name).GetAsync();
        var (ids, hasMore) = page.Of(shelf.Batches.Reverse(), id => id);
        var records = await Task.WhenAll(ids.Select(id => GrainOf(id).GetAsync()));
        List<BatchObject> items = [.. records.Where(record => record is not null).Select(record =>
            BatchObject.Of(record!))];
        await ErrorWriter.WriteJsonAsync(context.Response, JsonSerializer.SerializeToUtf8Bytes(
            new BatchList("list", items, items.FirstOrDefault()?.Id, items.LastOrDefault()?.Id, hasMore),
            BatchJson.Default.BatchList));
    }

    private async Task GetAsync(HttpContext context) => await WriteAsync(context, await DemandAsync(context));

    private async Task CancelAsync(HttpContext context)
    {
        var record = await DemandAsync(context);
        var changed = await GrainOf(record.BatchId).ChangeAsync(new BatchChange { Status = BatchStatus.Cancelling });
        runner.Wake();
        await WriteAsync(context, changed);
    }

    private BatchRecord Read(RequestField root, string tenant, DateTimeOffset now)
    {
        var endpoint = root.Required("endpoint");
        if (BatchRun.KindOf(endpoint.AsString()) is null)
            throw endpoint.Wrong(string.Join(", ", BatchRun.Endpoints));
        var window = root.Required("completion_window");
        return new BatchRecord
        {
            BatchId = $"batch_{entropy.NextId()}",
            Tenant = tenant,
            Endpoint = endpoint.AsString(),
            InputFileId = root.Required("input_file_id").AsString(),
            CompletionWindow = window.AsString(),
            CreatedAt = now,
            ExpiresAt = now + ReadWindow(window),
            Metadata = ReadMetadata(root),
        };
    }

    /// <summary>OpenAI knows 24h; other lengths of time are written alike: 30m, 8h, 7d.</summary>
    private static TimeSpan ReadWindow(RequestField field)
    {
        var text = field.AsString();
        var isNumber = int.TryParse(
            text.AsSpan(0, Math.Max(0, text.Length - 1)), NumberStyles.None, CultureInfo.InvariantCulture, out var n);
        TimeSpan? window = !isNumber || n == 0 || n > 100_000 ? null : text[^1] switch
        {
            'm' => TimeSpan.FromMinutes(n),
            'h' => TimeSpan.FromHours(n),
            'd' => TimeSpan.FromDays(n),
            _ => null,
        };
        return window <= WindowMax ? window.Value : throw field.Wrong("a length of time like 24h, at most 7d");
    }

    private static ImmutableDictionary<string, string> ReadMetadata(RequestField root)
    {
        var pairs = ImmutableDictionary.CreateBuilder<string, string>();
        if (root.Find("metadata") is not { } field) return pairs.ToImmutable();
        var rule = $"an object of at most {MetadataMax} texts, keys up to {MetadataKeyCharsMax} and values up to "
            + $"{MetadataValueCharsMax} characters";
        if (field.Value.ValueKind != JsonValueKind.Object) throw field.Wrong(rule);
        foreach (var pair in field.Value.EnumerateObject())
        {
            if (pair.Value.ValueKind != JsonValueKind.String || pairs.Count == MetadataMax) throw field.Wrong(rule);
            var value = pair.Value.GetString()!;
            if (pair.Name.Length > MetadataKeyCharsMax || value.Length > MetadataValueCharsMax) throw field.Wrong(rule);
            pairs[pair.Name] = value;
        }

        return pairs.ToImmutable();
    }

    private async Task<BatchRecord> DemandAsync(HttpContext context)
    {
        var id = (string)context.Request.RouteValues["id"]!;
        return await GrainOf(id).GetAsync() is { } record && record.Tenant == context.Caller().Tenant.Name
            ? record
            : throw new KreweException(ErrorCode.NotFound, $"There is no batch '{id}'; see GET /v1/batches.", "id");
    }

    private IBatchGrain GrainOf(string id) => grains.GetGrain<IBatchGrain>(id);

    private static Task WriteAsync(HttpContext context, BatchRecord record) => ErrorWriter.WriteJsonAsync(
        context.Response,
        JsonSerializer.SerializeToUtf8Bytes(BatchObject.Of(record), BatchJson.Default.BatchObject));
}
