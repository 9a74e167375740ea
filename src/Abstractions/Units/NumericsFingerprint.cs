namespace Krewe.Abstractions;

/// <summary>
/// Everything that decides the bits of a result beside model and request. Exactness is promised inside one value: a
/// sequence moves only between workers whose fingerprints are equal.
/// </summary>
/// <param name="Backend">"cpu", "reference", "cuda" ...</param>
/// <param name="InstructionPath">For instance "v512+fma" or "sm_90".</param>
/// <param name="KernelVersion">Raised with every change that may change a bit.</param>
/// <param name="WeightFormat">For instance "BF16".</param>
/// <param name="KvFormat">Format of keys and values at rest.</param>
public readonly record struct NumericsFingerprint(
    string Backend, string InstructionPath, int KernelVersion, string WeightFormat, KvFormat KvFormat)
{
    public override string ToString() =>
        $"{Backend}/{InstructionPath}/k{KernelVersion}/w{WeightFormat}/kv{KvFormat}";
}
