import{a}from"./chunk-33DNJMRV.js";export{a as default};
