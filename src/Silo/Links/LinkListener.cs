using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;
using Krewe.Abstractions;
using Krewe.Control.Links;
using Krewe.Silo.Cluster;
using Krewe.Silo.Kv;
using Krewe.Silo.Streams;
using Microsoft.Extensions.Logging;
using Orleans;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Links;

/// <summary>
/// Where workers connect. One task a link: hello, attach, messages, detach. Invariant: the grains of a worker id are
/// told of its links in order, and a link is in the view only while its grains know it.
/// </summary>
internal sealed partial class LinkListener(
    SiloOptions options,
    HelloPolicy policy,
    ClusterView view,
    RequestStreams streams,
    IGrainFactory grains,
    IEnumerable<IKvFeed> kvFeeds,
    ISiloRoster roster,
    TimeProvider time,
    ILogger<LinkListener> log) : IAsyncDisposable
{
    private readonly ConcurrentDictionary<Task, byte> _serving = [];
    private readonly ConcurrentDictionary<LinkConnection, byte> _links = [];
    private readonly SemaphoreSlim _membership = new(1);
    private readonly CancellationTokenSource _stopping = new();
    private readonly LinkTls? _tls = LinkTls.Open(options.LinkTls);
    private TcpListener? _listener;
    private Task _accepting = Task.CompletedTask;
    private Task _telling = Task.CompletedTask;
    private int _isDisposed;

    private static LinkEnd SiloStops => new(ErrorCode.WorkerLost, "the silo stops");

    /// <summary>The bound port. Only after <see cref="Start"/>.</summary>
    public int Port => ((IPEndPoint)_listener!.LocalEndpoint).Port;

    /// <summary>
    /// Binds and listens. Throws <see cref="KreweException"/> (PortInUse) when somebody else does there.
    /// </summary>
    public void Start()
    {
        var listener = new TcpListener(IPAddress.Parse(options.BindHost), options.LinkPort);
        try
        {
            listener.Start();
        }
        catch (SocketException e)
        {
            listener.Dispose();
            throw BindFailure.Of("link port", options.BindHost, options.LinkPort, e);
        }

        _listener = listener;
        _accepting = AcceptAsync(listener);
        _telling = TellSilosAsync();
    }

    public async ValueTask DisposeAsync()
    {
        // By the silo that stops, and by its container later.
        if (Interlocked.Exchange(ref _isDisposed, 1) != 0) return;
        await _stopping.CancelAsync();
        _listener?.Dispose();
        await _accepting;
        await _telling;
        foreach (var link in _links.Keys) link.Close(SiloStops);
        await Task.WhenAll(_serving.Keys);
        _membership.Dispose();
        _stopping.Dispose();
    }

    private async Task AcceptAsync(TcpListener listener)
    {
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                var served = ServeAsync(await listener.AcceptSocketAsync(_stopping.Token));
                _serving.TryAdd(served, default);
                _ = served.ContinueWith(
                    done => _serving.TryRemove(done, out _), CancellationToken.None, TaskContinuationOptions.None,
                    TaskScheduler.Default);
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (SocketException e)
            {
                // The peer was gone before it was accepted, or the process is out of handles: the next may fare better.
                LogAcceptFailed(log, e);
            }
        }
    }

    [SuppressMessage("Design", "CA1031", Justification =
        "A grain call can fail in any way its host has. It costs this one link, never the listener.")]
    private async Task ServeAsync(Socket socket)
    {
        // Never inside the accepting loop, whatever the peer sends first.
        await Task.Yield();
        try
        {
            if (await OpenAsync(socket) is not { } stream) return;
            await using var connection = new LinkConnection(stream, options.Cluster, time);
            _links.TryAdd(connection, default);
            // Whoever stops the listener may have looked before.
            if (_stopping.IsCancellationRequested) connection.Close(SiloStops);
            try
            {
                await ServeOwnedAsync(connection);
            }
            finally
            {
                _links.TryRemove(connection, out _);
            }
        }
        catch (Exception e)
        {
            LogLinkFailed(log, e);
        }
    }

    /// <summary>The connection, secured when links are; null when the peer is not of this cluster.</summary>
    private async Task<Stream?> OpenAsync(Socket socket)
    {
        socket.NoDelay = true;
        var stream = new NetworkStream(socket, ownsSocket: true);
        if (_tls is null) return stream;
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
        using var timer = time.CreateTimer(
            static source => ((CancellationTokenSource)source!).Cancel(), patience, options.Cluster.LinkSilenceLimit,
            Timeout.InfiniteTimeSpan);
        try
        {
            return await _tls.AcceptAsync(stream, patience.Token);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            LogNotSecured(log, e.Message);
            return null;
        }
    }

    private async Task ServeOwnedAsync(LinkConnection connection)
    {
        if (await ReadHelloAsync(connection) is not { } hello) return;
        if (policy.Check(hello) is { } refusal)
        {
            await RefuseAsync(connection, hello, refusal);
            return;
        }

        var protocol = Wire.ProtocolVersion.Negotiate(hello.Protocol, hello.NewestProtocol)!.Value;
        var link = new WorkerLink(connection, Describe(hello), hello.LinkEpoch, protocol);
        if (!await TryAttachAsync(link, connection, hello)) return;
        var kv = new KvLink(link.Worker, kvFeeds);
        var end = new LinkEnd(ErrorCode.WorkerLost, "the silo could not go on reading the link");
        try
        {
            end = await connection.RunAsync(message => Handle(link, kv, message));
        }
        finally
        {
            kv.End();
            await DetachAsync(link, end);
        }
    }

    private async Task<Wire.Hello?> ReadHelloAsync(LinkConnection connection)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
        using var timer = time.CreateTimer(
            static source => ((CancellationTokenSource)source!).Cancel(), patience, options.Cluster.LinkSilenceLimit,
            Timeout.InfiniteTimeSpan);
        try
        {
            var first = await connection.ReadAsync(patience.Token);
            if (first?.Hello is { } hello) return hello;
            LogNoHello(log, first is null ? "nothing" : first.BodyCase.ToString());
        }
        catch (Exception e) when (e is IOException or FrameException or OperationCanceledException)
        {
            LogNoHello(log, e.Message);
        }

        return null;
    }

    private async Task RefuseAsync(LinkConnection connection, Wire.Hello hello, HelloRefusal refusal)
    {
        // A second address is no mistake: every name of a set of silos is one.
        if (refusal.Code != ErrorCode.AlreadyLinked)
            LogRefused(log, hello.WorkerId, refusal.Code, refusal.Message);
        var reply = Reply();
        reply.Accepted = false;
        reply.ErrorCode = refusal.Code.ToString();
        reply.Message = refusal.Message;
        connection.TrySend(new Wire.SiloMessage { Welcome = reply });
        await connection.FlushAndCloseAsync(new LinkEnd(ErrorCode.WorkerLost, "refused"));
    }

    private async Task<bool> TryAttachAsync(WorkerLink link, LinkConnection connection, Wire.Hello hello)
    {
        await _membership.WaitAsync();
        try
        {
            if (view.Find(link.Worker.WorkerId) is { } old)
            {
                // A connection that was delayed on its way must not push out the newer one of the same process, nor a
                // second address of this silo the link that its work is on.
                if (old.Worker == link.Worker
                    && (old.LinkEpoch >= link.LinkEpoch || hello.LinkedSilos.Contains(options.SiloId)))
                {
                    await RefuseAsync(connection, hello, new HelloRefusal(
                        ErrorCode.AlreadyLinked,
                        $"Worker {link.Worker} is linked to {options.SiloId} with link epoch {old.LinkEpoch}; this one "
                            + $"has {link.LinkEpoch}."));
                    return false;
                }

                var replaced = new LinkEnd(ErrorCode.WorkerLost, "replaced by a newer link of this worker id");
                old.Close(replaced);
                EndLink(old, replaced);
            }

            foreach (var grain in GrainsOf(link)) await grain.AttachAsync(link.Descriptor, options.SiloId);
            var silos = roster.Silos;
            var reply = Reply();
            (reply.Accepted, reply.Protocol) = (true, link.Protocol);
            connection.TrySend(new Wire.SiloMessage { Welcome = reply });
            view.Add(link);
            LogAttached(log, link.Worker, link.Descriptor.Role);
            // Whoever told the others of a change meanwhile did not see this link.
            if (roster.Silos != silos) link.Tell(new Wire.SiloSet { SiloLinks = { LinksOf(roster.Silos) } });
            return true;
        }
        finally
        {
            _membership.Release();
        }
    }

    private async Task DetachAsync(WorkerLink link, LinkEnd end)
    {
        // Requests learn it at once; the worker's grains in their turn.
        EndLink(link, end);
        await _membership.WaitAsync();
        try
        {
            // The same process may have attached again meanwhile: its grains then know a live worker.
            if (view.Find(link.Worker) is not null) return;
            foreach (var grain in GrainsOf(link)) await grain.DetachAsync(link.Worker, options.SiloId, end.Reason);
        }
        finally
        {
            _membership.Release();
        }
    }

    private void EndLink(WorkerLink link, LinkEnd end)
    {
        view.Remove(link);
        if (!link.TryEnd(end, out var hasLeft) || _stopping.IsCancellationRequested) return;
        if (hasLeft && end.Code == ErrorCode.WorkerLost) LogLeft(log, link.Worker);
        else LogDetached(log, link.Worker, end.Code, end.Reason.TrimEnd('.'));
    }

    private void Handle(WorkerLink link, KvLink kv, Wire.WorkerMessage message)
    {
        switch (message.BodyCase)
        {
            case Wire.WorkerMessage.BodyOneofCase.Tokens:
                streams.Accept(message.Tokens);
                break;
            case Wire.WorkerMessage.BodyOneofCase.Event:
                if (IsRevoked(message.Event))
                    link.Abort(WireConvert.FromWire(message.Event.Key), "the migration was given up before its commit");
                else if (!link.Apply(message.Event))
                    LogStrayEvent(log, link.Worker, message.Event.Kind, message.Event.Key?.RequestId);
                break;
            case Wire.WorkerMessage.BodyOneofCase.Load:
                if (link.Apply(message.Load)) view.SignalChange();
                break;
            case Wire.WorkerMessage.BodyOneofCase.Kv:
                if (kv.Take(message.Kv)) link.AskForKvSnapshot();
                break;
            case Wire.WorkerMessage.BodyOneofCase.Heartbeat:
                // Its arrival was all it had to say.
                break;
            case Wire.WorkerMessage.BodyOneofCase.Hello:
                link.Close(new LinkEnd(ErrorCode.WorkerLost, "a second hello on one link"));
                break;
            case Wire.WorkerMessage.BodyOneofCase.None:
                // A message of a newer protocol: unknown messages are ignored, as unknown fields are.
                break;
            default:
                throw new InvalidOperationException($"A worker message without a handler: {message.BodyCase}.");
        }
    }

    /// <summary>
    /// A successor has committed and its stream does not want it (any more). Asked before its request is told: the
    /// stream alone decides between two epochs, in the order in which this silo hears of them.
    /// </summary>
    private bool IsRevoked(Wire.SequenceEvent happened) =>
        happened is { Kind: Wire.SequenceEventKind.MigrationCommitted, Key: { } key }
        && streams.Find(key.RequestId, (int)key.Choice)?.TryAdopt((int)key.Epoch) != true;

    /// <summary>Tells every worker which silos there are, whenever that changes.</summary>
    private async Task TellSilosAsync()
    {
        try
        {
            while (true)
            {
                var changed = roster.WhenChangedAsync(_stopping.Token);
                var set = new Wire.SiloSet { SiloLinks = { LinksOf(roster.Silos) } };
                foreach (var link in view.Links) link.Tell(set);
                await changed;
            }
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            return;
        }
    }

    private static IEnumerable<string> LinksOf(IEnumerable<SiloPeer> silos) =>
        silos.Select(silo => silo.Link).OfType<string>();

    private Wire.HelloReply Reply() => new()
    {
        SiloLinks = { LinksOf(roster.Silos) },
        SiloId = options.SiloId,
        HeartbeatMs = (uint)options.Cluster.HeartbeatInterval.TotalMilliseconds,
        SilenceMs = (uint)options.Cluster.LinkSilenceLimit.TotalMilliseconds,
    };

    private IEnumerable<IWorkerGrain> GrainsOf(WorkerLink link)
    {
        var (id, role) = (link.Worker.WorkerId, link.Descriptor.Role);
        if (role != WorkerRole.Decode) yield return grains.GetGrain<IPrefillWorkerGrain>(id);
        if (role != WorkerRole.Prefill) yield return grains.GetGrain<IDecodeWorkerGrain>(id);
    }

    private static WorkerDescriptor Describe(Wire.Hello hello) => new()
    {
        Worker = new WorkerIncarnation(hello.WorkerId, hello.Incarnation),
        Role = WireConvert.FromWire(hello.Role)!.Value,
        ModelName = hello.ModelName,
        ModelFingerprint = hello.ModelFingerprint,
        Numerics = hello.Numerics,
        DataHost = hello.DataHost,
        DataPort = (int)hello.DataPort,
        TotalBlocks = (int)hello.TotalBlocks,
        BlockTokens = (int)hello.Kv.BlockTokens,
        MaxContextTokens = (int)hello.MaxContextTokens,
        ProcessId = (int)hello.Pid,
        KvBytesPerToken = WireConvert.KvBytesPerToken(hello.Kv),
    };
}
