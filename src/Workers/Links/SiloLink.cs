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
/// the next link epoch; work of an older one is void on both sides.
/// </summary>
internal sealed partial class SiloLink
{
    private static readonly TimeSpan BackOffFirst = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan BackOffMax = TimeSpan.FromSeconds(2);

    /// <summary>A link that lived this long was sound: the next connection is tried at once.</summary>
    private static readonly TimeSpan SoundLife = TimeSpan.FromSeconds(10);

    /// <summary>How long a silo may take to accept a connection and answer the hello.</summary>
    private static readonly TimeSpan HelloLimit = TimeSpan.FromSeconds(5);

    private readonly string _address;
    private readonly WorkerIdentity _identity;
    private readonly Action<EngineCommand> _post;
    private readonly Func<EngineLoad> _load;
    private readonly Func<SiloLink, HelloReply, bool> _welcomed;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly KvEventLog? _kv;
    private readonly ResiliencePipeline _reconnect;
    private uint _epoch;
    private volatile LinkSession? _session;

    /// <param name="welcomed">Told of each accepted hello; false = another link serves that silo, this one
    /// ends.</param>
    /// <param name="kv">What the silo is told of the worker's KV; null: nothing.</param>
    public SiloLink(
        string address, WorkerIdentity identity, Action<EngineCommand> post, Func<EngineLoad> load,
        Func<SiloLink, HelloReply, bool> welcomed, TimeProvider time, ILogger logger, KvEventLog? kv = null)
    {
        _kv = kv;
        (_address, _identity, _post, _load, _welcomed) = (address, identity, post, load, welcomed);
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

    /// <summary>The silo has welcomed this worker, and the connection stands.</summary>
    public bool IsUp => _session is not null;

    /// <summary>Connects anew: what the hello says has changed.</summary>
    public void Renew() => _session?.Renew();

    /// <summary>One connection. True: it was sound, connect again; false: another link serves the silo.</summary>
    private async Task<bool> ServeOnceAsync(CancellationToken stopping)
    {
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        var stream = await ConnectAsync(socket, stopping);
        var reader = PipeReader.Create(stream);
        var welcome = await GreetAsync(stream, reader, stopping);
        if (!_welcomed(this, welcome)) return false;
        LogWelcomed(_logger, welcome.SiloId, _address, _epoch);
        var begun = _time.GetTimestamp();
        var session = new LinkSession(stream, reader, welcome, _post, _load, _time, _logger, _kv);
        _session = session;
        var reason = await session.RunAsync(stopping);
        _session = null;
        stopping.ThrowIfCancellationRequested();
        return _time.GetElapsedTime(begun) >= SoundLife ? true : throw new LinkEndedException(reason);
    }

    private async Task<NetworkStream> ConnectAsync(Socket socket, CancellationToken stopping)
    {
        using var patience = new Patience(HelloLimit, _time, stopping);
        var colon = _address.LastIndexOf(':');
        try
        {
            await socket.ConnectAsync(
                _address[..colon], int.Parse(_address.AsSpan(colon + 1), provider: null), patience.Token);
            return new NetworkStream(socket);
        }
        catch (SocketException e)
        {
            throw new LinkEndedException(e.Message);
        }
        catch (OperationCanceledException) when (patience.IsOver)
        {
            throw new LinkEndedException($"No answer within {HelloLimit.TotalSeconds} s.");
        }
    }

    private async Task<HelloReply> GreetAsync(NetworkStream stream, PipeReader reader, CancellationToken stopping)
    {
        using var patience = new Patience(HelloLimit, _time, stopping);
        try
        {
            var frames = new ArrayBufferWriter<byte>();
            FrameCodec.Write(frames, new WorkerMessage { Hello = _identity.ToHello(++_epoch) });
            await stream.WriteAsync(frames.WrittenMemory, patience.Token);
            var reply = await ReadReplyAsync(reader, patience.Token);
            return reply.Accepted ? reply : throw Refusal(reply);
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
        LogRefused(_logger, _address, reply.ErrorCode, reply.Message);
        return code is ErrorCode.ProtocolMismatch or ErrorCode.ModelMismatch or ErrorCode.NumericsMismatch
            or ErrorCode.KvGeometryMismatch
            ? new KreweException(code.Value, $"The silo at {_address} refused this worker: {reply.Message}")
            : new LinkEndedException($"refused: {reply.Message}");
    }

    [LoggerMessage(LogLevel.Information, "Linked to {Silo} at {Address}, link epoch {Epoch}.")]
    private static partial void LogWelcomed(ILogger logger, string silo, string address, uint epoch);

    [LoggerMessage(LogLevel.Information, "No link to {Address}: {Reason} Next try in {DelayMs:F0} ms.")]
    private static partial void LogLost(ILogger logger, string address, string reason, double delayMs);

    [LoggerMessage(LogLevel.Error, "{Address} refused the hello with {Code}: {Reason}")]
    private static partial void LogRefused(ILogger logger, string address, string code, string reason);

    /// <summary>This connection is over and the next one is worth a try.</summary>
    private sealed class LinkEndedException(string message) : Exception(message);
}
