using System.Net;
using System.Security.Cryptography;
using System.Text;
using Krewe.Abstractions;
using Krewe.Control.Access;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Krewe.Silo.Access;

/// <summary>
/// The API keys of this silo, from a file or from the files of a folder (a mounted Kubernetes secret). Looked at every
/// two seconds, by content: a secret is swapped by a symbolic link, whose time tells nothing. Invariant: a file that
/// cannot be read leaves the keys that were there.
/// </summary>
internal sealed partial class KeyRing : IHostedService, IDisposable
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(2);

    private readonly SiloOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger<KeyRing> _log;
    private readonly Lock _gate = new();
    private volatile AccessTable _table;
    private byte[] _content;
    private ITimer? _timer;

    /// <summary>Throws <see cref="KreweException"/> (InvalidOptions) with everything that is wrong in the files.
    /// </summary>
    public KeyRing(SiloOptions options, TimeProvider time, ILogger<KeyRing> log)
    {
        (_options, _time, _log) = (options, time, log);
        (_table, _content) = (AccessTable.Empty, []);
        if (options.ApiKeys is not { } path) return;
        try
        {
            var files = ReadFiles(path);
            _content = HashOf(files);
            _table = AccessFile.Read(files, out var errors);
            if (errors.Count > 0) throw Invalid(string.Join(Environment.NewLine, errors));
            if (_table.Keys.Count == 0)
                throw Invalid($"{path} holds no key; make one with 'krewe keys make', or leave --api-keys out.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Invalid($"The API keys at {path} cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Keys are configured: whoever has none is refused.</summary>
    public bool IsClosed => _options.ApiKeys is not null;

    public AccessTable Table => _table;

    /// <summary>Whose key this is; null = nobody's.</summary>
    public Caller? Identify(string key)
    {
        var table = _table;
        return table.Find(ApiKey.HashOf(key), _time.GetUtcNow()) is { } known
            ? new Caller(known.Name, table.PolicyOf(known.Tenant), known.Roles)
            : null;
    }

    public Task StartAsync(CancellationToken cancellationToken)
    {
        if (IsClosed)
            _timer = _time.CreateTimer(_ => Reload(), null, LookEvery, LookEvery);
        else if (!IPAddress.IsLoopback(IPAddress.Parse(_options.BindHost)))
            LogOpen(_log, _options.BindHost);
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken)
    {
        Dispose();
        return Task.CompletedTask;
    }

    public void Dispose() => _timer?.Dispose();

    /// <summary>Takes what the files say now. Errors are logged, once for each content.</summary>
    public void Reload()
    {
        var path = _options.ApiKeys!;
        lock (_gate)
        {
            try
            {
                var files = ReadFiles(path);
                var content = HashOf(files);
                if (content.AsSpan().SequenceEqual(_content)) return;
                _content = content;
                var table = AccessFile.Read(files, out var errors);
                if (errors.Count > 0 || table.Keys.Count == 0)
                {
                    LogRefused(_log, path, errors.Count > 0 ? string.Join(" ", errors) : "it holds no key.");
                    return;
                }

                _table = table;
                LogReloaded(_log, path, table.Keys.Count);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                if (_content.Length > 0) LogRefused(_log, path, e.Message);
                _content = [];
            }
        }
    }

    /// <summary>A folder's files, but not what begins with a dot: a mounted secret has its versions there.</summary>
    private static List<(string Name, string Json)> ReadFiles(string path)
    {
        if (!Directory.Exists(path)) return [(path, File.ReadAllText(path))];
        return
        [
            .. Directory.EnumerateFiles(path).Where(file => !Path.GetFileName(file).StartsWith('.'))
                .Order(StringComparer.Ordinal).Select(file => (file, File.ReadAllText(file))),
        ];
    }

    private static byte[] HashOf(List<(string Name, string Json)> files) =>
        SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\0', files.Select(file => $"{file.Name}\0{file.Json}"))));

    private static KreweException Invalid(string message, Exception? inner = null) =>
        new(ErrorCode.InvalidOptions, message, innerException: inner);

    [LoggerMessage(60, LogLevel.Warning, "NO API KEYS: whoever can reach {Host} can use the model and read the "
        + "cluster's state; only this machine can operate it. Make keys with 'krewe keys make' and give them with "
        + "--api-keys")]
    private static partial void LogOpen(ILogger log, string host);

    [LoggerMessage(61, LogLevel.Warning, "API keys read again from {Path}: {Count} keys hold from now on")]
    private static partial void LogReloaded(ILogger log, string path, int count);

    [LoggerMessage(62, LogLevel.Error, "API keys at {Path} were not taken, those from before hold on: {Reason}")]
    private static partial void LogRefused(ILogger log, string path, string reason);
}
