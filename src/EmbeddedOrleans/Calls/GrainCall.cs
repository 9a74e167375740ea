using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Orleans.Runtime;

namespace Krewe.EmbeddedOrleans;

/// <summary>One call on its way from a reference to its target and back.</summary>
[SuppressMessage("Design", "CA1001", Justification = "The source has no timer: it holds nothing, and disposing it "
    + "would race with a caller that cancels.")]
internal abstract class GrainCall : Work
{
    private readonly GrainHost _host;
    private readonly GrainMethod _method;
    private readonly long? _deadline;
    private CancellationToken _callerToken;
    private CancellationTokenRegistration _registration;
    private CancellationTokenSource? _cancellation;

    protected GrainCall(GrainMethod method, GrainProxy proxy, object?[] arguments, CallFrame? caller)
        : base(
            method.IsOneWay ? null : caller?.Work,
            caller?.RequestValues ?? ImmutableDictionary<string, object>.Empty)
    {
        _method = method;
        _host = proxy.Factory.Host;
        TargetId = proxy.Id;
        SourceId = (caller?.Work?.Gate?.Owner as Activation)?.GrainId;
        Arguments = arguments;
        _deadline = method.IsOneWay ? null : _host.Time.GetTimestamp() + _host.ResponseTimeoutTicks;
    }

    public GrainId TargetId { get; }

    public GrainId? SourceId { get; }

    public override bool Interleaves => _method.Interleaves;

    public override long? Deadline => _deadline;

    public bool IsOneWay => _method.IsOneWay;

    protected GrainHost Host => _host;

    protected object?[] Arguments { get; }

    public override string Describe() => $"{TargetId}.{_method.Method.Name}";

    public override void Expire()
    {
        var waited = Gate!.TryWithdraw(this);
        if (waited)
            Release();
        Reject(new TimeoutException(
            $"{Describe()} gave no answer within {_host.Options.ResponseTimeout}; "
            + (waited ? "it was still waiting for its turn." : "it is still running.")));
    }

    /// <summary>Replaces the caller's token by the call's own, which is cancelled on the target's turns.</summary>
    /// <returns>False if the caller has cancelled already; the call is then over.</returns>
    public bool TryBindCancellation()
    {
        if (_method.TokenIndex is not { } index
            || Arguments[index] is not CancellationToken { CanBeCanceled: true } token)
            return true;
        _callerToken = token;
        _cancellation = new CancellationTokenSource();
        Arguments[index] = _cancellation.Token;
        if (token.IsCancellationRequested)
        {
            Cancel(token);
            return false;
        }

        _registration = token.UnsafeRegister(static call => ((GrainCall)call!).CancelByCaller(), this);
        return true;
    }

    /// <summary>Completes the caller's task with an error, if nothing has completed it yet.</summary>
    protected abstract void Reject(Exception error);

    protected abstract void Cancel(CancellationToken token);

    /// <summary>Stops listening to the caller's token: the call is over.</summary>
    public void Release() => _registration.Dispose();

    protected void LogIfUnseen(Exception? error)
    {
        if (IsOneWay && error is not null)
            _host.Log.OneWayCallFailed(error, Describe());
    }

    private void CancelByCaller()
    {
        // As in Orleans the caller does not wait for the target to notice.
        Cancel(_callerToken);
        if (Gate is not { } gate)
        {
            // Still on its way: no turn of the target knows the token yet.
            _cancellation!.Cancel();
            return;
        }

        if (gate.TryWithdraw(this))
            return;
        Task.Factory.StartNew(
            static source => ((CancellationTokenSource)source!).Cancel(),
            _cancellation,
            CancellationToken.None,
            TaskCreationOptions.DenyChildAttach,
            gate.Scheduler);
    }
}

internal sealed class GrainCall<T>(GrainMethod<T> method, GrainProxy proxy, object?[] arguments)
    : GrainCall(method, proxy, arguments, CallFrame.Current)
{
    private readonly TaskCompletionSource<T> _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task<T>? _result;

    public Task<T> Outcome => _answer.Task;

    public override void Fail(Exception error)
    {
        Release();
        LogIfUnseen(error);
        Reject(error);
    }

    protected override async Task ExecuteAsync()
    {
        var target = Gate!.Owner;
        if (target.Activation is { } activation)
        {
            activation.Touch();
            var filters = Host.FiltersOf(activation);
            _result = filters.Count == 0
                ? method.Run(target.Instance, Arguments)
                : IncomingCallContext.RunAsync(this, method, activation, filters, Arguments);
        }
        else
        {
            _result = method.Run(target.Instance, Arguments);
        }

        await ((Task)_result).ConfigureAwait(
            ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        target.Activation?.Touch();
    }

    protected override void Publish()
    {
        Release();
        LogIfUnseen(_result!.Exception?.InnerException);
        // Hands over the very exception, cancelled or faulted, with its stack.
        _answer.TrySetFromTask(_result);
    }

    protected override void Reject(Exception error) => _answer.TrySetException(error);

    protected override void Cancel(CancellationToken token) => _answer.TrySetCanceled(token);
}
