pub(crate) fn check_keys(_: &crate::store::StoreOptions) -> crate::error::Result<()> {
    Ok(())
}
