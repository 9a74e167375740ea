using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.KvEvents;
using Krewe.Control.Links;
using Polly;
using Polly.Retry;

namespace Krewe.Workers;

/// <summary>
/// Keeps a control link to one silo: connect, hello, serve, and again with back-off when it ends. Each connection has
/// a newer link epoch; work of an older one is void on both sides.
/// </summary>
internal sealed partial class SiloLink
{
    private static readonly TimeSpan BackOffFirst = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan BackOffMax = TimeSpan.FromSeconds(2);

    /// <summary>A link that lived this long was sound: the next connection is tried at once.</summary>
    private static readonly TimeSpan SoundLife = TimeSpan.FromSeconds(10);

    /// <summary>How long a silo may take to accept a connection and answer the hello.</summary>
    private static readonly TimeSpan HelloLimit = TimeSpan.FromSeconds(5);

    /// <summary>
    /// How long to wait when the address led to a silo that has a link: it may be a name that leads elsewhere later.
    /// </summary>
    private static readonly TimeSpan LinkedPause = TimeSpan.FromSeconds(5);

    private readonly string _address;
    private readonly WorkerIdentity _identity;
    private readonly Action<EngineCommand> _post;
    private readonly Func<EngineLoad> _load;
    private readonly SiloLinks _links;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly KvEventLog? _kv;
    private readonly LinkTls? _tls;
    private readonly ResiliencePipeline _reconnect;
    private volatile LinkSession? _session;

    /// <param name="links">The worker's links: told of each accepted hello and of its end.</param>
    /// <param name="kv">What the silo is told of the worker's KV; null: nothing.</param>
    /// <param name="tls">Null: plain TCP.</param>
    public SiloLink(
        string address, WorkerIdentity identity, Action<EngineCommand> post, Func<EngineLoad> load,
        SiloLinks links, TimeProvider time, ILogger logger, KvEventLog? kv = null, LinkTls? tls = null)
    {
        (_kv, _tls) = (kv, tls);
        (_address, _identity, _post, _load, _links) = (address, identity, post, load, links);
        (_time, _logger) = (time, logger);
        var jitter = new Random(unchecked((int)identity.Incarnation));
        _reconnect = new ResiliencePipelineBuilder { TimeProvider = time }.AddRetry(new RetryStrategyOptions
        {
            ShouldHandle = new PredicateBuilder().Handle<LinkEndedException>(),
            MaxRetryAttempts = int.MaxValue,
            Delay = BackOffFirst,
            MaxDelay = BackOffMax,
            BackoffType = DelayBackoffType.Exponential,
            UseJitter = true,
            Randomizer = jitter.NextDouble,
            DelayGenerator = static retry => ValueTask.FromResult<TimeSpan?>(
                retry.Outcome.Exception is LinkEndedException { IsLinked: true } ? LinkedPause : null),
            OnRetry = retry =>
            {
                LogLost(_logger, _address, retry.Outcome.Exception!.Message, retry.RetryDelay.TotalMilliseconds);
                return default;
            },
        }).Build();
    }

    /// <summary>
    /// Runs until stopped. Throws <see cref="KreweException"/> when the silo refuses this worker for good (protocol,
    /// model, numerics, geometry): trying again could not help.
    /// </summary>
    public async Task RunAsync(CancellationToken stopping)
    {
        try
        {
            while (await _reconnect.ExecuteAsync(async token => await ServeOnceAsync(token), stopping)) { }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            return;
        }
    }

    public string Address => _address;

    /// <summary>Connects anew: what the hello says has changed.</summary>
    public void Renew() => _session?.Renew();

    /// <summary>One connection. True: it was sound, connect again; false: another link serves the silo.</summary>
    private async Task<bool> ServeOnceAsync(CancellationToken stopping)
    {
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await using var stream = await ConnectAsync(socket, stopping);
        var reader = PipeReader.Create(stream);
        var welcome = await GreetAsync(stream, reader, stopping);
        if (!_links.Welcome(this, welcome)) return false;
        var begun = _time.GetTimestamp();
        var session = new LinkSession(
            stream, reader, welcome, _post, _load, set => _links.Learn(this, set), _time, _logger, _kv);
        _session = session;
        string reason;
        try
        {
            reason = await session.RunAsync(stopping);
        }
        finally
        {
            _links.Lost(this);
        }

        stopping.ThrowIfCancellationRequested();
        return _time.GetElapsedTime(begun) >= SoundLife ? true : throw new LinkEndedException(reason);
    }

    private async Task<Stream> ConnectAsync(Socket socket, CancellationToken stopping)
    {
        using var patience = new Patience(HelloLimit, _time, stopping);
        var colon = _address.LastIndexOf(':');
        try
        {
            var host = _address[..colon];
            await socket.ConnectAsync(
                host, int.Parse(_address.AsSpan(colon + 1), provider: null), patience.Token);
            var stream = new NetworkStream(socket);
            return _tls is null ? stream : await _tls.ConnectAsync(stream, host, patience.Token);
        }
        catch (Exception e) when (e is SocketException or IOException)
        {
            throw new LinkEndedException(e.Message);
        }
        catch (OperationCanceledException) when (patience.IsOver)
        {
            throw new LinkEndedException($"No answer within {HelloLimit.TotalSeconds} s.");
        }
    }

    private async Task<HelloReply> GreetAsync(Stream stream, PipeReader reader, CancellationToken stopping)
    {
        using var patience = new Patience(HelloLimit, _time, stopping);
        try
        {
            var frames = new ArrayBufferWriter<byte>();
            var (epoch, linked) = _links.NextHello();
            FrameCodec.Write(frames, new WorkerMessage { Hello = _identity.ToHello(epoch, linked) });
            await stream.WriteAsync(frames.WrittenMemory, patience.Token);
            var reply = await ReadReplyAsync(reader, patience.Token);
            if (!reply.Accepted) throw Refusal(reply);
            LogWelcomed(_logger, reply.SiloId, _address, epoch, Math.Max(1, reply.Protocol));
            return reply;
        }
        catch (Exception e) when (e is IOException or FrameException)
        {
            throw new LinkEndedException(e.Message);
        }
        catch (OperationCanceledException) when (patience.IsOver)
        {
            throw new LinkEndedException($"The hello was not answered within {HelloLimit.TotalSeconds} s.");
        }
    }

    private static async Task<HelloReply> ReadReplyAsync(PipeReader reader, CancellationToken cancellationToken)
    {
        while (true)
        {
            var read = await reader.ReadAsync(cancellationToken);
            var buffer = read.Buffer;
            if (FrameCodec.TryRead(ref buffer, SiloMessage.Parser, out var message))
            {
                // What follows the reply belongs to the session: it is examined anew there.
                reader.AdvanceTo(buffer.Start);
                return message!.Welcome ?? throw new FrameException($"The hello was answered by {message.BodyCase}.");
            }

            reader.AdvanceTo(buffer.Start, buffer.End);
            if (read.IsCompleted) throw new IOException("The silo closed the link without answering the hello.");
        }
    }

    /// <summary>Refusals that name a difference are final; others (draining, a name in use) may pass.</summary>
    private Exception Refusal(HelloReply reply)
    {
        var code = WireNames.ParseErrorCode(reply.ErrorCode);
        if (code == ErrorCode.AlreadyLinked) return new LinkEndedException(reply.Message) { IsLinked = true };
        LogRefused(_logger, _address, reply.ErrorCode, reply.Message);
        return code is ErrorCode.ProtocolMismatch or ErrorCode.ModelMismatch or ErrorCode.NumericsMismatch
            or ErrorCode.KvGeometryMismatch
            ? new KreweException(code.Value, $"The silo at {_address} refused this worker: {reply.Message}")
            : new LinkEndedException($"refused: {reply.Message}");
    }

    [LoggerMessage(LogLevel.Information, "Linked to {Silo} at {Address}, link epoch {Epoch}, protocol {Protocol}.")]
    private static partial void LogWelcomed(
        ILogger logger, string silo, string address, uint epoch, uint protocol);

    [LoggerMessage(LogLevel.Information, "No link to {Address}: {Reason} Next try in {DelayMs:F0} ms.")]
    private static partial void LogLost(ILogger logger, string address, string reason, double delayMs);

    [LoggerMessage(LogLevel.Error, "{Address} refused the hello with {Code}: {Reason}")]
    private static partial void LogRefused(ILogger logger, string address, string code, string reason);

    /// <summary>This connection is over and the next one is worth a try.</summary>
    private sealed class LinkEndedException(string message) : Exception(message)
    {
        /// <summary>The silo at this address has another link of this worker.</summary>
        public bool IsLinked { get; init; }
    }
}
