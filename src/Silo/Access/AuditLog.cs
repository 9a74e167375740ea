using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Krewe.Abstractions;
using Krewe.Control.Access;
using Krewe.Silo.Gateway;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

namespace Krewe.Silo.Access;

/// <summary>
/// What operators did: one JSON line each, appended to a file and the newest kept for GET /v1/cluster/audit. Keys
/// appear by name only.
/// </summary>
internal sealed partial class AuditLog : IDisposable
{
    /// <summary>Entries that can be asked for; the file has all.</summary>
    private const int KeptMax = 1000;

    private const string DetailKey = "krewe.audit";

    private readonly TimeProvider _time;
    private readonly ILogger<AuditLog> _log;
    private readonly Lock _gate = new();
    private readonly Queue<AuditEntry> _kept = [];
    private readonly StreamWriter? _file;
    private long _count;

    /// <summary>Throws <see cref="KreweException"/> (InvalidOptions) when the file cannot be appended to.</summary>
    public AuditLog(SiloOptions options, TimeProvider time, ILogger<AuditLog> log)
    {
        (_time, _log) = (time, log);
        var path = options.AuditLog
            ?? (options.DataDirectory is { } data ? Path.Combine(data, "audit.jsonl") : null);
        if (path is null) return;
        try
        {
            if (Path.GetDirectoryName(Path.GetFullPath(path)) is { } folder) Directory.CreateDirectory(folder);
            _file = new StreamWriter(new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite))
            {
                AutoFlush = true,
            };
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KreweException(
                ErrorCode.InvalidOptions, $"The audit log cannot be written to {path}: {e.Message}", innerException: e);
        }
    }

    /// <summary>What the action's body said, for its entry.</summary>
    public static void Describe(HttpContext context, string detail) => context.Items[DetailKey] = detail;

    public void Map(IEndpointRouteBuilder routes) =>
        routes.MapGet("/v1/cluster/audit", (RequestDelegate)GetAsync).RequireRole(AccessRoles.Operator);

    /// <summary>Puts down an action that was tried, with the status of its answer.</summary>
    public void Add(HttpContext context, int status)
    {
        var caller = context.Caller();
        lock (_gate)
        {
            var entry = new AuditEntry(
                ++_count, _time.GetUtcNow(), caller.KeyName, caller.IsAnonymous ? null : caller.Tenant.Name,
                context.Connection.RemoteIpAddress?.ToString(), context.Request.Method, context.Request.Path,
                context.Items[DetailKey] as string, status, context.TraceIdentifier);
            _kept.Enqueue(entry);
            if (_kept.Count > KeptMax) _kept.Dequeue();
            LogAction(
                _log, entry.Key ?? "nobody", entry.Method, entry.Path, entry.Detail, entry.Status, entry.RequestId);
            try
            {
                _file?.WriteLine(JsonSerializer.Serialize(entry, AuditJson.Default.AuditEntry));
            }
            catch (IOException e)
            {
                LogUnwritten(_log, e, entry.Path);
            }
        }
    }

    /// <summary>A key without the role: for the log only, or its holder could fill the disk.</summary>
    public void Denied(HttpContext context, Caller caller) =>
        LogDenied(_log, caller.KeyName, context.Request.Method, context.Request.Path, context.TraceIdentifier);

    public void Dispose() => _file?.Dispose();

    private Task GetAsync(HttpContext context)
    {
        var text = context.Request.Query["after"].ToString();
        var after = 0L;
        if (text.Length > 0 && !long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out after))
        {
            throw new KreweException(
                ErrorCode.InvalidRequest, "'after' must be the number of the last entry that was read, or left out.",
                "after");
        }

        AuditEntry[] entries;
        lock (_gate) entries = [.. _kept.Where(entry => entry.Number > after)];
        return ErrorWriter.WriteJsonAsync(context.Response, JsonSerializer.SerializeToUtf8Bytes(
            new AuditList("list", entries), AuditJson.Default.AuditList));
    }

    [LoggerMessage(65, LogLevel.Information, "{Key}: {Method} {Path} {Detail}: {Status}, request {RequestId}")]
    private static partial void LogAction(
        ILogger log, string key, string method, string path, string? detail, int status, string requestId);

    [LoggerMessage(66, LogLevel.Warning, "Key {Key} lacks the role for {Method} {Path}, request {RequestId}")]
    private static partial void LogDenied(ILogger log, string? key, string method, string path, string requestId);

    [LoggerMessage(67, LogLevel.Error, "The audit log's file did not take the entry of {Path}")]
    private static partial void LogUnwritten(ILogger log, Exception error, string path);
}

/// <summary>One operator's action.</summary>
/// <param name="At">UTC.</param>
/// <param name="Key">The key's name; null when no keys are configured.</param>
/// <param name="Detail">What the body asked for.</param>
/// <param name="Status">Of the answer.</param>
internal sealed record AuditEntry(
    long Number, DateTimeOffset At, string? Key, string? Tenant, string? Address, string Method, string Path,
    string? Detail, int Status, string RequestId);

/// <summary>The newest entries, oldest first.</summary>
internal sealed record AuditList(string Object, IReadOnlyList<AuditEntry> Data);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(AuditList))]
internal sealed partial class AuditJson : JsonSerializerContext;
