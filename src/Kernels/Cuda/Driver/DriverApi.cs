using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;

namespace Krewe.Kernels.Cuda;

/// <summary>The functions of libcuda that Krewe calls, by NVIDIA's names without "cu". Every status is checked by
/// <see cref="Check"/>.</summary>
[SuppressMessage("Style", "IDE1006", Justification = "Fields that are called like methods.")]
internal sealed unsafe class DriverApi
{
    private const int NotReady = 600;

    public DriverApi(nint library)
    {
        var table = new FunctionTable(library, CudaLibrary.Driver);
        Init = (delegate* unmanaged<uint, int>)table["cuInit"];
        DriverGetVersion = (delegate* unmanaged<int*, int>)table["cuDriverGetVersion"];
        GetErrorName = (delegate* unmanaged<int, byte**, int>)table["cuGetErrorName"];
        GetErrorString = (delegate* unmanaged<int, byte**, int>)table["cuGetErrorString"];
        DeviceGetCount = (delegate* unmanaged<int*, int>)table["cuDeviceGetCount"];
        DeviceGet = (delegate* unmanaged<int*, int, int>)table["cuDeviceGet"];
        DeviceGetName = (delegate* unmanaged<byte*, int, int, int>)table["cuDeviceGetName"];
        DeviceTotalMem = (delegate* unmanaged<nuint*, int, int>)table["cuDeviceTotalMem_v2"];
        DeviceGetAttribute = (delegate* unmanaged<int*, int, int, int>)table["cuDeviceGetAttribute"];
        DeviceGetUuid = (delegate* unmanaged<DeviceUuid*, int, int>)table["cuDeviceGetUuid_v2", "cuDeviceGetUuid"];
        DeviceCanAccessPeer = (delegate* unmanaged<int*, int, int, int>)table["cuDeviceCanAccessPeer"];
        ContextRetain = (delegate* unmanaged<nint*, int, int>)table["cuDevicePrimaryCtxRetain"];
        ContextRelease = (delegate* unmanaged<int, int>)table["cuDevicePrimaryCtxRelease_v2"];
        ContextSetCurrent = (delegate* unmanaged<nint, int>)table["cuCtxSetCurrent"];
        ContextSynchronize = (delegate* unmanaged<int>)table["cuCtxSynchronize"];
        MemGetInfo = (delegate* unmanaged<nuint*, nuint*, int>)table["cuMemGetInfo_v2"];
        MemAlloc = (delegate* unmanaged<nint*, nuint, int>)table["cuMemAlloc_v2"];
        MemFree = (delegate* unmanaged<nint, int>)table["cuMemFree_v2"];
        MemHostAlloc = (delegate* unmanaged<nint*, nuint, uint, int>)table["cuMemHostAlloc"];
        MemHostRegister = (delegate* unmanaged<void*, nuint, uint, int>)table["cuMemHostRegister_v2"];
        MemHostUnregister = (delegate* unmanaged<void*, int>)table["cuMemHostUnregister"];
        MemFreeHost = (delegate* unmanaged<nint, int>)table["cuMemFreeHost"];
        MemGetAddressRange = (delegate* unmanaged<nint*, nuint*, nint, int>)table["cuMemGetAddressRange_v2"];
        IpcGetMemHandle = (delegate* unmanaged<IpcHandle*, nint, int>)table["cuIpcGetMemHandle"];
        IpcOpenMemHandle = (delegate* unmanaged<nint*, IpcHandle, uint, int>)table["cuIpcOpenMemHandle_v2"];
        IpcCloseMemHandle = (delegate* unmanaged<nint, int>)table["cuIpcCloseMemHandle"];
        MemGetGranularity = (delegate* unmanaged<nuint*, AllocationProperties*, int, int>)
            table["cuMemGetAllocationGranularity"];
        MemCreate = (delegate* unmanaged<ulong*, nuint, AllocationProperties*, ulong, int>)table["cuMemCreate"];
        MemRelease = (delegate* unmanaged<ulong, int>)table["cuMemRelease"];
        MemAddressReserve = (delegate* unmanaged<nint*, nuint, nuint, nint, ulong, int>)table["cuMemAddressReserve"];
        MemAddressFree = (delegate* unmanaged<nint, nuint, int>)table["cuMemAddressFree"];
        MemMap = (delegate* unmanaged<nint, nuint, nuint, ulong, ulong, int>)table["cuMemMap"];
        MemUnmap = (delegate* unmanaged<nint, nuint, int>)table["cuMemUnmap"];
        MemSetAccess = (delegate* unmanaged<nint, nuint, AccessDescription*, nuint, int>)table["cuMemSetAccess"];
        MemExport = (delegate* unmanaged<int*, ulong, int, ulong, int>)table["cuMemExportToShareableHandle"];
        MemImport = (delegate* unmanaged<ulong*, nint, int, int>)table["cuMemImportFromShareableHandle"];
        CopyToDevice = (delegate* unmanaged<nint, void*, nuint, nint, int>)table["cuMemcpyHtoDAsync_v2"];
        CopyToHost = (delegate* unmanaged<void*, nint, nuint, nint, int>)table["cuMemcpyDtoHAsync_v2"];
        CopyOnDevice = (delegate* unmanaged<nint, nint, nuint, nint, int>)table["cuMemcpyDtoDAsync_v2"];
        Fill = (delegate* unmanaged<nint, byte, nuint, nint, int>)table["cuMemsetD8Async"];
        StreamCreate = (delegate* unmanaged<nint*, uint, int>)table["cuStreamCreate"];
        StreamDestroy = (delegate* unmanaged<nint, int>)table["cuStreamDestroy_v2"];
        StreamSynchronize = (delegate* unmanaged<nint, int>)table["cuStreamSynchronize"];
        StreamWaitEvent = (delegate* unmanaged<nint, nint, uint, int>)table["cuStreamWaitEvent"];
        StreamBeginCapture = (delegate* unmanaged<nint, int, int>)table["cuStreamBeginCapture_v2"];
        StreamEndCapture = (delegate* unmanaged<nint, nint*, int>)table["cuStreamEndCapture"];
        EventCreate = (delegate* unmanaged<nint*, uint, int>)table["cuEventCreate"];
        EventDestroy = (delegate* unmanaged<nint, int>)table["cuEventDestroy_v2"];
        EventRecord = (delegate* unmanaged<nint, nint, int>)table["cuEventRecord"];
        EventSynchronize = (delegate* unmanaged<nint, int>)table["cuEventSynchronize"];
        EventQuery = (delegate* unmanaged<nint, int>)table["cuEventQuery"];
        EventElapsedTime = (delegate* unmanaged<float*, nint, nint, int>)table["cuEventElapsedTime"];
        ModuleLoadData = (delegate* unmanaged<nint*, void*, int>)table["cuModuleLoadData"];
        ModuleUnload = (delegate* unmanaged<nint, int>)table["cuModuleUnload"];
        ModuleGetFunction = (delegate* unmanaged<nint*, nint, byte*, int>)table["cuModuleGetFunction"];
        FunctionSetAttribute = (delegate* unmanaged<nint, int, int, int>)table["cuFuncSetAttribute"];
        FunctionLoad = (delegate* unmanaged<nint, int>)table.Optional("cuFuncLoad");
        LaunchKernel = (delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int>)
            table["cuLaunchKernel"];
        LaunchKernelWith = (delegate* unmanaged<LaunchConfig*, nint, void**, void**, int>)
            table.Optional("cuLaunchKernelEx");
        GraphInstantiate = (delegate* unmanaged<nint*, nint, ulong, int>)table["cuGraphInstantiateWithFlags"];
        GraphLaunch = (delegate* unmanaged<nint, nint, int>)table["cuGraphLaunch"];
        GraphDestroy = (delegate* unmanaged<nint, int>)table["cuGraphDestroy"];
        GraphExecDestroy = (delegate* unmanaged<nint, int>)table["cuGraphExecDestroy"];
        table.Demand();
    }

    public delegate* unmanaged<uint, int> Init { get; }

    public delegate* unmanaged<int*, int> DriverGetVersion { get; }

    public delegate* unmanaged<int, byte**, int> GetErrorName { get; }

    public delegate* unmanaged<int, byte**, int> GetErrorString { get; }

    public delegate* unmanaged<int*, int> DeviceGetCount { get; }

    public delegate* unmanaged<int*, int, int> DeviceGet { get; }

    public delegate* unmanaged<byte*, int, int, int> DeviceGetName { get; }

    public delegate* unmanaged<nuint*, int, int> DeviceTotalMem { get; }

    public delegate* unmanaged<int*, int, int, int> DeviceGetAttribute { get; }

    public delegate* unmanaged<DeviceUuid*, int, int> DeviceGetUuid { get; }

    public delegate* unmanaged<int*, int, int, int> DeviceCanAccessPeer { get; }

    public delegate* unmanaged<nint*, int, int> ContextRetain { get; }

    public delegate* unmanaged<int, int> ContextRelease { get; }

    public delegate* unmanaged<nint, int> ContextSetCurrent { get; }

    public delegate* unmanaged<int> ContextSynchronize { get; }

    public delegate* unmanaged<nuint*, nuint*, int> MemGetInfo { get; }

    public delegate* unmanaged<nint*, nuint, int> MemAlloc { get; }

    public delegate* unmanaged<nint, int> MemFree { get; }

    public delegate* unmanaged<nint*, nuint, uint, int> MemHostAlloc { get; }

    public delegate* unmanaged<void*, nuint, uint, int> MemHostRegister { get; }

    public delegate* unmanaged<void*, int> MemHostUnregister { get; }

    public delegate* unmanaged<nint, int> MemFreeHost { get; }

    public delegate* unmanaged<nint*, nuint*, nint, int> MemGetAddressRange { get; }

    public delegate* unmanaged<IpcHandle*, nint, int> IpcGetMemHandle { get; }

    public delegate* unmanaged<nint*, IpcHandle, uint, int> IpcOpenMemHandle { get; }

    public delegate* unmanaged<nint, int> IpcCloseMemHandle { get; }

    public delegate* unmanaged<nuint*, AllocationProperties*, int, int> MemGetGranularity { get; }

    public delegate* unmanaged<ulong*, nuint, AllocationProperties*, ulong, int> MemCreate { get; }

    public delegate* unmanaged<ulong, int> MemRelease { get; }

    public delegate* unmanaged<nint*, nuint, nuint, nint, ulong, int> MemAddressReserve { get; }

    public delegate* unmanaged<nint, nuint, int> MemAddressFree { get; }

    public delegate* unmanaged<nint, nuint, nuint, ulong, ulong, int> MemMap { get; }

    public delegate* unmanaged<nint, nuint, int> MemUnmap { get; }

    public delegate* unmanaged<nint, nuint, AccessDescription*, nuint, int> MemSetAccess { get; }

    public delegate* unmanaged<int*, ulong, int, ulong, int> MemExport { get; }

    public delegate* unmanaged<ulong*, nint, int, int> MemImport { get; }

    public delegate* unmanaged<nint, void*, nuint, nint, int> CopyToDevice { get; }

    public delegate* unmanaged<void*, nint, nuint, nint, int> CopyToHost { get; }

    public delegate* unmanaged<nint, nint, nuint, nint, int> CopyOnDevice { get; }

    public delegate* unmanaged<nint, byte, nuint, nint, int> Fill { get; }

    public delegate* unmanaged<nint*, uint, int> StreamCreate { get; }

    public delegate* unmanaged<nint, int> StreamDestroy { get; }

    public delegate* unmanaged<nint, int> StreamSynchronize { get; }

    public delegate* unmanaged<nint, nint, uint, int> StreamWaitEvent { get; }

    public delegate* unmanaged<nint, int, int> StreamBeginCapture { get; }

    public delegate* unmanaged<nint, nint*, int> StreamEndCapture { get; }

    public delegate* unmanaged<nint*, uint, int> EventCreate { get; }

    public delegate* unmanaged<nint, int> EventDestroy { get; }

    public delegate* unmanaged<nint, nint, int> EventRecord { get; }

    public delegate* unmanaged<nint, int> EventSynchronize { get; }

    public delegate* unmanaged<nint, int> EventQuery { get; }

    public delegate* unmanaged<float*, nint, nint, int> EventElapsedTime { get; }

    public delegate* unmanaged<nint*, void*, int> ModuleLoadData { get; }

    public delegate* unmanaged<nint, int> ModuleUnload { get; }

    public delegate* unmanaged<nint*, nint, byte*, int> ModuleGetFunction { get; }

    public delegate* unmanaged<nint, int, int, int> FunctionSetAttribute { get; }

    /// <summary>Null before 12.4.</summary>
    public delegate* unmanaged<nint, int> FunctionLoad { get; }

    public delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int> LaunchKernel
    {
        get;
    }

    /// <summary>Null before 11.8.</summary>
    public delegate* unmanaged<LaunchConfig*, nint, void**, void**, int> LaunchKernelWith { get; }

    public delegate* unmanaged<nint*, nint, ulong, int> GraphInstantiate { get; }

    public delegate* unmanaged<nint, nint, int> GraphLaunch { get; }

    public delegate* unmanaged<nint, int> GraphDestroy { get; }

    public delegate* unmanaged<nint, int> GraphExecDestroy { get; }

    /// <exception cref="CudaException">The status is not success; names the call, the status and
    /// <paramref name="what"/>.</exception>
    public void Check(int status, string call, string what = "")
    {
        if (status != 0) throw Failure(status, call, what);
    }

    /// <summary>False while work is under way.</summary>
    public bool CheckReady(int status, string call)
    {
        if (status == NotReady) return false;
        Check(status, call);
        return true;
    }

    /// <summary>A status that is not success, in the driver's words.</summary>
    public CudaException Failure(int status, string call, string what, bool isTooLarge = false)
    {
        byte* name;
        byte* text;
        var words = "an unknown status";
        if (GetErrorName(status, &name) == 0)
        {
            words = Marshal.PtrToStringUTF8((nint)name)
                + (GetErrorString(status, &text) == 0 ? $", {Marshal.PtrToStringUTF8((nint)text)}" : "");
        }

        return new CudaException(call, status, words, what) { IsTooLarge = isTooLarge };
    }
}
