namespace Krewe.Cli;

/// <summary>What a <c>krewe</c> process ends with. Scripts and the supervisor rely on these numbers.</summary>
internal static class ExitCode
{
    public const int Success = 0;

    public const int Failure = 1;

    /// <summary>Unknown option or invalid setting; every one is printed.</summary>
    public const int Usage = 2;

    /// <summary>The model is invalid, or a silo refused the worker for good: a restart cannot help.</summary>
    public const int Refused = 3;

    public const int PortInUse = 4;

    /// <summary>A GPU was asked for, and it or one of NVIDIA's libraries is missing.</summary>
    public const int NoDevice = 5;

    /// <summary>The GPU is there, but another process has it or its memory: a later start may do.</summary>
    public const int DeviceBusy = 6;
}
