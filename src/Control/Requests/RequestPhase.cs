namespace Krewe.Control.Requests;

/// <summary>
/// Stages of one request. Owner: its request grain. Each member says what the workers may do meanwhile.
/// </summary>
public enum RequestPhase
{
    /// <summary>Nothing was asked of anybody. Only a start or a cancel may follow.</summary>
    Received,

    /// <summary>Workers are being chosen for the current epoch. Nobody computes, nothing is held.</summary>
    Planning,

    /// <summary>
    /// Leases for the plan were asked for. Nobody computes; a grant may arrive after the phase was left.
    /// </summary>
    Leasing,

    /// <summary>Prefill is queued or computes and owns the blocks. Both workers of the plan are needed.</summary>
    Dispatched,

    /// <summary>Decode pulls blocks that prefill still owns. Both workers of the plan are needed.</summary>
    HandingOff,

    /// <summary>Decode owns the sequence and samples. Prefill may only free: its loss does not matter.</summary>
    Decoding,

    /// <summary>
    /// An attempt was given up and no worker can take the next one. Nobody computes, nothing is leased.
    /// </summary>
    WaitingForWorker,

    /// <summary>The owner has every token. Workers may only free.</summary>
    Finished,

    /// <summary>Ended by an error. Workers may only free.</summary>
    Failed,

    /// <summary>Ended by the client. Workers may only free.</summary>
    Cancelled,
}
